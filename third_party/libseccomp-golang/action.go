package seccomp

// A ScmpAction is what the kernel does with a call: the filter's return value itself.
type ScmpAction uint32

// The actions. ActErrno and ActTrace carry a code, see SetReturnCode.
const (
	ActKillProcess ScmpAction = 0x80000000
	ActKillThread  ScmpAction = 0x00000000
	ActTrap        ScmpAction = 0x00030000
	ActErrno       ScmpAction = 0x00050000
	ActNotify      ScmpAction = 0x7fc00000
	ActTrace       ScmpAction = 0x7ff00000
	ActLog         ScmpAction = 0x7ffc0000
	ActAllow       ScmpAction = 0x7fff0000
	// ActInvalid is no action.
	ActInvalid ScmpAction = 0xffffffff
)

const codeMask = 0xffff

// SetReturnCode returns the action with an errno or a tracer's message; other actions carry none.
func (a ScmpAction) SetReturnCode(code int16) ScmpAction {
	if kind := a &^ codeMask; kind == ActErrno || kind == ActTrace {
		return kind | ScmpAction(uint16(code))
	}
	return a
}

// GetReturnCode returns the code that SetReturnCode set.
func (a ScmpAction) GetReturnCode() int16 { return int16(a & codeMask) }

func (a ScmpAction) valid() bool {
	switch a &^ codeMask {
	case ActKillProcess, ActKillThread, ActTrap, ActErrno, ActNotify, ActTrace, ActLog, ActAllow:
		return true
	}
	return false
}
