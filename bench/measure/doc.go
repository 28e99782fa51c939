// Package measure is what the commands beside it share: a network namespace of their own to start a cluster in, figures
// of every process in it as the kernel counts them (PSS, CPU time, bytes written, wake-ups), and Markdown tables with
// the machine's load under them. Only commands in bench use it; nothing in it is safe concurrently.
package measure
