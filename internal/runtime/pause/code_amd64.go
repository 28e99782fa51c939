package pause

const machine = 62 // EM_X86_64

// code ignores SIGCHLD, which makes the kernel reap children by itself, and then sleeps until killed.
var code = []byte{
	0xb8, 0x0d, 0x00, 0x00, 0x00, // mov eax, 13 (rt_sigaction)
	0xbf, 0x11, 0x00, 0x00, 0x00, // mov edi, 17 (SIGCHLD)
	0x48, 0x8d, 0x35, 0x17, 0x00, 0x00, 0x00, // lea rsi, [rip+23] (action)
	0x31, 0xd2, // xor edx, edx
	0x41, 0xba, 0x08, 0x00, 0x00, 0x00, // mov r10d, 8 (size of a signal set)
	0x0f, 0x05, // syscall
	0xb8, 0x22, 0x00, 0x00, 0x00, // mov eax, 34 (pause)
	0x0f, 0x05, // syscall
	0xeb, 0xf7, // jmp back to the mov
	0x90, 0x90, 0x90, 0x90, // to a multiple of 8
	1, 0, 0, 0, 0, 0, 0, 0, // action: handler SIG_IGN
	0, 0, 0, 0, 0, 0, 0, 0, // flags
	0, 0, 0, 0, 0, 0, 0, 0, // restorer
	0, 0, 0, 0, 0, 0, 0, 0, // mask
}
