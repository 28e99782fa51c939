package build

import (
	"encoding/json"
	"fmt"
	"os"
	"syscall"
)

// Exec turns this process into the helper program at path, which does o. It returns only where that fails.
func Exec(path string, o Order) error {
	if err := o.check(); err != nil {
		return err
	}
	text, err := json.Marshal(o)
	if err != nil {
		return fmt.Errorf("encode the order: %w", err)
	}
	if err := syscall.Exec(path, []string{"minato-build", string(text)}, os.Environ()); err != nil {
		return fmt.Errorf("run %s: %w", path, err)
	}
	return nil
}
