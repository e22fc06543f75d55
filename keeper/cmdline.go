package keeper

// cmdline is what the keeper takes from the kernel's command line: whole words
// only; all others are somebody else's.
type cmdline struct {
	rescue bool // hoopy.rescue: a shell on the console before anything else
	debug  bool // hoopy.log=debug
	quiet  bool // quiet
}

func parseCmdline(b []byte) (c cmdline) {
	words(b, func(w string) bool {
		switch w {
		case "hoopy.rescue":
			c.rescue = true
		case "hoopy.log=debug":
			c.debug = true
		case "quiet":
			c.quiet = true
		}
		return w != "--" // what follows is for init itself
	})
	return c
}
