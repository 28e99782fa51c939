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
	3: { // status
		1:  nil,                      // phase
		2:  {1: nil, 2: nil, 5: nil}, // conditions: type, status, reason
		4:  nil,                      // reason
		8:  containerRowParts,        // containerStatuses
		10: containerRowParts,        // initContainerStatuses
		11: nil,                      // nominatedNodeName
		12: nil,                      // podIPs
	},
}

// containerRowParts are name, state, lastState, ready, restartCount and started.
var containerRowParts = Parts{1: nil, 2: nil, 3: nil, 4: nil, 5: nil, 9: nil}
