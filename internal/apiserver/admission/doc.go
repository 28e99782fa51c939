// Package admission changes and refuses objects on their way into the store, as upstream's default admission plugins do.
//
// The API server's write verbs call Chain.Admit between defaulting and validation, and Chain.Validate right before the
// store's write; the order of plugins is the one list in chain.go. Objects are given in the version in which they
// are stored. Admit may change Attributes.Object; nothing else of the attributes is changed but Warnings. Plugins
// read through Objects and hold no state of their own, so a Chain is safe for concurrent use. Tests give Objects
// as a map.
package admission
