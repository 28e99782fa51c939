// Command minato-hello is the program in the image minato.local/hello.
package main

func main() {}
