package admission

import "errors"

var (
	errImmortal  = errors.New("this namespace may not be deleted")
	errNoPod     = errors.New("resource was marked with kind Pod but was unable to be converted")
	errQuotaBusy = errors.New("resource quota is being changed by others all the time")
	errNoRequest = errors.New("PEM block type must be CERTIFICATE REQUEST")
)
