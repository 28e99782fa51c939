package api

// Parts are the fields of a message that are needed of it, by their numbers, each with the parts that are needed of it in
// turn. Fields with no parts of their own are needed whole.
type Parts map[uint64]Parts

// podRowParts is what podRow looks at: of containers hardly more than that they are there.
var podRowParts = Parts{
	1: {1: nil, 8: nil, 9: nil}, // metadata: name, creationTimestamp, deletionTimestamp
	2: { // spec
		2:  {1: nil},          // containers: name
		10: nil,               // nodeName
		20: {1: nil, 24: nil}, // initContainers: name, restartPolicy
		28: nil,               // readinessGates
	},
	3: nil, // status
}
