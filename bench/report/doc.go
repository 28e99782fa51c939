// Package report is what benches find, as data, and how it is shown: a Result of Rows, written as JSON by the command
// that measured, and rendered by bench/run as one Markdown report with SVG charts. Every command in bench hands its work
// to Main; nothing else uses the package. Nothing in it is safe concurrently. Rendering is pure: tests compare it with
// the files in testdata.
package report
