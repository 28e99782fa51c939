// Package watch lets many clients write, watch and list at once while the API server is killed and its history compacted,
// and judges what they were told:
//
//   - every watcher sees every revision that concerns it once, in order, and of the right kind (what a selector lets in and out);
//   - every list, of any kind, is the state that the watches add up to at the revision it names;
//   - each object behaves as if one request came after the other, and no acknowledged write is lost (porcupine).
//
// The server is the API server on etcd, in a process of its own that can die at any moment, behind TLS, HTTP/2 for half of
// the clients. A few rounds run with the other tests; `make watch` runs it for as long as wanted.
package watch
