// Command earshot hears what people say in public about a brand and helps the
// people who answer for it. Run it without arguments for its commands.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	_ "time/tzdata" // containers have no zones

	"github.com/earshot/earshot/pkg/config"
)

// version is set by the build.
var version = "dev"

// command is one of the program's verbs.
type command struct {
	name  string
	usage string // arguments
	short string // one line
	long  string // what --help says besides
	alone bool   // needs neither configuration nor installation
	run   func(ctx context.Context, c *call) error
	flags func(c *call)
}

// call is one use of a command.
type call struct {
	command
	fs   *flag.FlagSet
	args []string
	in   io.Reader
	out  io.Writer
	err  io.Writer

	configPath, data string
	opts             any // of the command
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is the program without its process; it returns the exit status.
func run(ctx context.Context, args []string, in io.Reader, out, errw io.Writer) int {
	if len(args) == 0 || args[0] == "help" || args[0] == "-h" || args[0] == "--help" {
		if len(args) > 1 {
			args = []string{args[1], "--help"}
		} else {
			overview(out)
			return 0
		}
	}
	i := slices.IndexFunc(commands, func(c command) bool { return c.name == args[0] })
	if i < 0 {
		fmt.Fprintf(errw, "earshot: there is no command %q; earshot --help lists them\n", args[0])
		return 2
	}
	c := &call{command: commands[i], in: in, out: out, err: errw}
	c.fs = flag.NewFlagSet(c.name, flag.ContinueOnError)
	c.fs.SetOutput(io.Discard)
	if !c.alone {
		c.fs.StringVar(&c.configPath, "config", os.Getenv("EARSHOT_CONFIG"), "configuration `FILE` in YAML; default $EARSHOT_CONFIG, else none")
		c.fs.StringVar(&c.data, "data", "", "`FOLDER` of the installation; default ./data")
	}
	if c.flags != nil {
		c.flags(c)
	}
	rest, err := parse(c.fs, args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
		c.help(out)
		return 0
	case err != nil:
		fmt.Fprintf(errw, "earshot %s: %s; see earshot %s --help\n", c.name, flagText(err), c.name)
		return 2
	}
	c.args = rest
	if err = c.only(); err == nil {
		err = c.run(ctx, c)
	}
	if err == nil {
		return 0
	}
	if u, ok := errors.AsType[usageError](err); ok {
		fmt.Fprintf(errw, "earshot %s: %s; see earshot %s --help\n", c.name, u, c.name)
		return 2
	}
	fmt.Fprintf(errw, "earshot: %v\n", err)
	return 1
}

// only refuses arguments to a command that takes none.
func (c *call) only() error {
	if c.usage == "" && len(c.args) > 0 {
		return usageError(fmt.Sprintf("takes no arguments, and %q is one", c.args[0]))
	}
	return nil
}

// flagText is an error of package flag with the flag as people write it.
func flagText(err error) string {
	text := strings.Replace(err.Error(), "flag provided but not defined: -", "there is no flag --", 1)
	for _, before := range []string{"for flag -", "for -", "argument: -"} {
		text = strings.Replace(text, before, before+"-", 1)
	}
	return text
}

// parse takes flags before, between and after the arguments.
func parse(fs *flag.FlagSet, args []string) (rest []string, err error) {
	for {
		if err := fs.Parse(args); err != nil {
			return nil, err
		}
		args = fs.Args()
		if len(args) == 0 {
			return rest, nil
		}
		rest, args = append(rest, args[0]), args[1:]
	}
}

// usageError is a mistake in how a command was called.
type usageError string

func (e usageError) Error() string { return string(e) }

func overview(w io.Writer) {
	fmt.Fprint(w, `Earshot hears what people say in public about a brand and helps the people who
answer for it.

  earshot serve            run everything on this machine, desk on http://127.0.0.1:8080
  earshot serve --demo     the same on a made-up day of mentions; nothing leaves the machine

Commands:
`)
	for _, c := range commands {
		fmt.Fprintf(w, "  %-11s %s\n", c.name, c.short)
	}
	fmt.Fprint(w, "\nearshot COMMAND --help says more. Commands reach a running instance, its folder\nor a bus (bus.url in the configuration) alike.\n")
}

func (c *call) help(w io.Writer) {
	usage, flags := []string{"earshot", c.name}, false
	c.fs.VisitAll(func(*flag.Flag) { flags = true })
	if flags {
		usage = append(usage, "[flags]")
	}
	if c.usage != "" {
		usage = append(usage, c.usage)
	}
	fmt.Fprintf(w, "Usage: %s\n\n%s\n", strings.Join(usage, " "), strings.TrimSpace(c.short+".\n\n"+c.long))
	if !flags {
		return
	}
	fmt.Fprint(w, "\nFlags:\n")
	c.fs.VisitAll(func(f *flag.Flag) {
		name, usage := flag.UnquoteUsage(f)
		if name != "" {
			name = " " + name
		}
		fmt.Fprintf(w, "  --%s%s\n        %s\n", f.Name, name, usage)
	})
}

// file loads the configuration, with the command's flags over it.
func (c *call) file() (config.File, error) {
	f, err := config.Load(c.configPath)
	if err != nil {
		return f, err
	}
	if c.data != "" {
		f.Data = c.data
	}
	return f, nil
}

// list is a flag that may be given several times.
type list []string

func (l *list) String() string     { return strings.Join(*l, ", ") }
func (l *list) Set(s string) error { *l = append(*l, s); return nil }
