// Package h2 answers HTTP/2 requests on TLS connections that net/http's server has accepted, in place of its own HTTP/2.
//
// It exists because an API server's answers are many and small. net/http passes each frame through a goroutine that owns the
// connection, and writes it in another; a watch event or an object of a kilobyte costs a dozen switches between goroutines, and
// head, body and end of an answer may be records of their own. Here a handler's goroutine frames its answer under the connection's
// lock and writes it itself, whole, in one record and one system call as far as it fits; who finds another writing leaves
// what it has to that one.
//
//	client -> reader (one goroutine a connection) -> worker (a handler's goroutine, used again) -> client
//
// The reader never waits for a handler, nor for the client to read; a handler waits for the reader only where it wants its
// request's body or the windows. What is held for a connection has bounds: maxQueued bytes of answers to be written, mostQueued
// with the replies to the client's own frames, connWindow bytes of bodies that no handler has read, maxHeader bytes of headers,
// MaxStreams running handlers (those that their client has given up count), four times as many that wait for one to end. Beyond
// them the client waits, or loses the connection where only an attack goes so far.
//
// The API server is the caller: New, then Attach to its http.Server before that serves on a listener of Listen; http.Server's Shutdown drains. All exported
// methods are safe for concurrent use. The tests speak to it as net/http's client and as a raw one that writes frames; to
// test what stands on it, use any HTTP client that takes h2.
package h2
