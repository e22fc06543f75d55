package main

import (
	"fmt"
	"slices"
	"strings"
)

// completion prints the script of a shell.
func (a *app) completion(o options) error {
	scripts := map[string]func() string{"bash": bashCompletion, "zsh": zshCompletion, "ash": ashCompletion, "sh": ashCompletion}
	script := scripts[o.names[0]]
	if script == nil {
		return misuse("there is a script for bash, zsh and ash, not for %q", o.names[0])
	}
	fmt.Fprint(a.out, script())
	return nil
}

// askNames is how a script gets at the names of units: soon, or not at all.
const askNames = "svc status --names --timeout 1s 2>/dev/null"

// cases are, for each command, its options, and those that take units.
func cases() (options map[string]string, units, all []string) {
	options = map[string]string{}
	for _, c := range table() {
		all = append(all, c.name)
		var words []string
		for _, f := range c.flags {
			if f.short != "" {
				words = append(words, "-"+f.short)
			}
			words = append(words, "--"+f.long)
		}
		if len(words) > 0 {
			options[c.name] = strings.Join(words, " ")
		}
		if c.units {
			units = append(units, c.name)
		}
	}
	return options, units, all
}

// caseLines are the branches of a shell's case that set words.
func caseLines(options map[string]string, all []string) string {
	var b strings.Builder
	for _, name := range all {
		if options[name] != "" {
			fmt.Fprintf(&b, "    %s) words='%s' ;;\n", name, options[name])
		}
	}
	return b.String()
}

func bashCompletion() string {
	options, units, all := cases()
	return `# Completion of svc for bash: eval "$(svc completion bash)"
_svc() {
  local line=${COMP_LINE:0:COMP_POINT}
  local cur=${line##* } cmd=${COMP_WORDS[1]} words=''
  # Of link:lan bash replaces what is behind the colon, of getty@tty1 from the @ on.
  local rest=${cur##*[:=]}
  [[ $COMP_WORDBREAKS != *@* || $rest != *@* ]] || rest=@${rest##*@}
  local before=${cur%"$rest"}
  if (( COMP_CWORD == 1 )); then
    words='` + strings.Join(all, " ") + `'
  elif [[ $cur == -* ]]; then
    case $cmd in
` + caseLines(options, all) + `    esac
  else
    case $cmd in
    ` + strings.Join(units, "|") + `) words=$(` + askNames + `) ;;
    help) words='` + strings.Join(all, " ") + `' ;;
    completion) words='bash zsh ash' ;;
    check) COMPREPLY=($(compgen -d -- "$cur")); return ;;
    run) COMPREPLY=($(compgen -c -- "$cur")); return ;;
    esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
  COMPREPLY=("${COMPREPLY[@]#"$before"}")
}
complete -F _svc svc
`
}

func zshCompletion() string {
	options, units, all := cases()
	return `#compdef svc
# Completion of svc for zsh: eval "$(svc completion zsh)", after compinit.
_svc() {
  local list='' cmd=${words[2]}
  if (( CURRENT == 2 )); then
    list='` + strings.Join(all, " ") + `'
  elif [[ $PREFIX == -* ]]; then
    case $cmd in
` + strings.ReplaceAll(caseLines(options, all), " words=", " list=") + `    esac
  else
    case $cmd in
    ` + strings.Join(units, "|") + `) list=$(` + askNames + `) ;;
    help) list='` + strings.Join(all, " ") + `' ;;
    completion) list='bash zsh ash' ;;
    check) _directories; return ;;
    run) _command_names; return ;;
    esac
  fi
  compadd -- ${=list}
}
if (( ${funcstack[(I)_svc]} )); then # it is called for the first time, as a file of site-functions
  _svc "$@"
else
  compdef _svc svc
fi
`
}

func ashCompletion() string {
	_, _, all := cases()
	all = slices.DeleteFunc(all, func(name string) bool { return slices.Contains(deadly, name) })
	return `# The ash of busybox completes names of files alone; there is nothing to set up.
# Instead svc, when its output is a terminal, takes any beginning that only one
# command or unit has: svc rest tail is svc restart tailscaled. What ends the
# machine (` + strings.Join(deadly, ", ") + `) has to be written out. Commands:
# ` + strings.Join(all, " ") + `
`
}
