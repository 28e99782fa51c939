// Package lint holds the laws of the house as tests: who may import whom, which upstream packages are allowed and why,
// what every package must say about itself, and which calls are forbidden where.
//
// The laws are data (rooms.go, upstream.go, bans.go); changing one is a reviewed act with a reason beside it. Sizes are
// reported and bounded loosely. Nothing here is linked into a program.
package lint
