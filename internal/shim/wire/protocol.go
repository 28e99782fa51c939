package wire

import "encoding/json"

// A Call is the first message on a connection.
type Call struct {
	Op   string          `json:"op"`
	ID   string          `json:"id,omitempty"`
	Body json.RawMessage `json:"body,omitempty"`
}

// A Reply is every message of the server. Kind names the error; both are empty for success.
type Reply struct {
	Kind  string          `json:"kind,omitempty"`
	Error string          `json:"error,omitempty"`
	Body  json.RawMessage `json:"body,omitempty"`
}

// Which streams of a session the descriptors beside a Call are, in this order.
type Streams struct {
	In  bool `json:"in,omitempty"`
	Out bool `json:"out,omitempty"`
	Err bool `json:"err,omitempty"`
	// Told asks attach for an answer, before its last one, once it follows the output.
	Told bool `json:"told,omitempty"`
}

// Bodies of the calls that have no type of their own in package shim.
type (
	Signal struct {
		Signal int  `json:"signal"`
		All    bool `json:"all,omitempty"`
	}
	Resize struct {
		Width  uint16 `json:"width"`
		Height uint16 `json:"height"`
	}
	Since struct {
		Seq uint64 `json:"seq"`
	}
	Pid struct {
		Pid int `json:"pid"`
		// Started says that the process was started too, as the call asked.
		Started bool `json:"started,omitempty"`
	}
	Path struct {
		Path string `json:"path"`
	}
)
