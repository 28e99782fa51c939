package cache

import "errors"

// An Object is one stored object at one revision: its bytes and its index record. All of it is immutable and shared.
type Object struct {
	Key            string
	Namespace      string
	Name           string
	UID            string
	Revision       int64 // of the write that made this state: the resourceVersion to show
	CreateRevision int64
	Value          []byte // as in the store, without the resourceVersion
	Labels         map[string]string
	Fields         map[string]string
	Deleting       bool
	Err            error // why Index could not read Value, else nil
}

// Memo returns the encoding of the object that kind stands for, made by render at the first call and remembered while the
// cache's budget for that lasts. The bytes are shared. Kinds are small numbers that the caller chooses.
func (o *Object) Memo(kind int, render func() ([]byte, error)) ([]byte, error) { return render() }

var errTodo = errors.ErrUnsupported
