// Command voiceassist is the operator's command. `voiceassist help` lists what
// it can do.
package main

import (
	"os"

	"github.com/voiceassist/backend/cmd"
)

func main() {
	os.Exit(cmd.Main(os.Args[1:]))
}
