package unit

import "strings"

// signals are the names of signal(7) on x86_64 and aarch64, where they agree;
// the table is here because unit files are also read on other systems.
var signals = [...]string{1: "HUP", 2: "INT", 3: "QUIT", 4: "ILL", 5: "TRAP", 6: "ABRT", 7: "BUS",
	8: "FPE", 9: "KILL", 10: "USR1", 11: "SEGV", 12: "USR2", 13: "PIPE", 14: "ALRM", 15: "TERM",
	16: "STKFLT", 17: "CHLD", 18: "CONT", 19: "STOP", 20: "TSTP", 21: "TTIN", 22: "TTOU", 23: "URG",
	24: "XCPU", 25: "XFSZ", 26: "VTALRM", 27: "PROF", 28: "WINCH", 29: "IO", 30: "PWR", 31: "SYS"}

// SignalName is the name of a signal without SIG; false for real-time signals
// and for what is no signal.
func SignalName(sig int) (string, bool) {
	if sig <= 0 || sig >= len(signals) {
		return "", false
	}
	return signals[sig], true
}

// SignalNumber is the number of a name with or without SIG, in any case.
func SignalNumber(name string) (int, bool) {
	name = strings.TrimPrefix(strings.ToUpper(name), "SIG")
	for n, s := range signals {
		if s != "" && s == name {
			return n, true
		}
	}
	return 0, false
}
