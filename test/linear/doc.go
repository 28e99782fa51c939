// Package linear is how one object of the API behaves when one request comes after the other, for a checker of
// linearizability (porcupine): clients note what they asked and were told, and the checker looks for one order of all requests that
// explains every answer.
//
// The tests that let faults fall while clients write use it: test/script with the whole program, test/watch with the API
// server alone. Everything is a value; nothing is shared. To test it, give Object a history by hand.
package linear
