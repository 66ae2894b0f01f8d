package extract

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"

	voiceassist "github.com/voiceassist/backend"
)

// maxStack ends a runaway recursion, in bytes. Go's default of 1 GB would fill
// the child's memory first.
const maxStack = 128 << 20

// Serve is the child's side: it announces the engines, keyed by media type,
// then reads one requested document after the other until in ends, which is
// nil. An engine that panics ends it with an error, after the parent was told;
// so does anything that is wrong with in or out.
func Serve(ctx context.Context, engines map[string]voiceassist.TextEngine, in io.Reader, out io.Writer) error {
	debug.SetMaxStack(maxStack)
	names := make(map[string]string, len(engines))
	for mediaType, e := range engines {
		names[mediaType] = e.Name()
	}
	if err := writeFrame(out, frameHello, hello{Engines: names}); err != nil {
		return err
	}
	r := bufio.NewReader(in)
	for {
		kind, body, err := readFrame(r, 0)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read request: %w", err)
		}
		var req request
		if err := json.Unmarshal(body, &req); err != nil || kind != frameRequest {
			return fmt.Errorf("read request: unexpected frame %q", byte(kind))
		}
		if err := serveOne(ctx, engines[req.MediaType], req, out); err != nil {
			return err
		}
	}
}

// serveOne reads one document and tells the parent how it ended. Its error
// ends the child.
func serveOne(ctx context.Context, engine voiceassist.TextEngine, req request, out io.Writer) (err error) {
	defer func() {
		if v := recover(); v != nil {
			fmt.Fprintf(os.Stderr, "panic: %v\n%s", v, debug.Stack())
			err = fmt.Errorf("engine for %s panicked: %v", req.MediaType, v)
			_ = writeFrame(out, framePanic, refusal{Message: clip(fmt.Sprint(v))})
		}
	}()
	if engine == nil {
		return writeFrame(out, frameFailure, refusal{Reason: voiceassist.ReasonUnsupported, Message: "no engine reads " + req.MediaType})
	}
	var broken error
	info, err := engine.Extract(ctx, req.Path, req.pages(), func(p voiceassist.Page) error {
		p.Text = clean(p.Text)
		broken = writePage(out, p)
		return broken
	})
	if broken != nil {
		return broken
	}
	if f, ok := errors.AsType[*voiceassist.Failure](err); ok {
		detail := ""
		if f.Err != nil {
			detail = clip(f.Err.Error())
		}
		return writeFrame(out, frameFailure, refusal{Reason: f.Reason, Message: clip(f.Message), Detail: detail})
	}
	if err != nil {
		return writeFrame(out, frameTrouble, refusal{Message: clip(err.Error())})
	}
	info.Title, info.Author = clip(clean(info.Title)), clip(clean(info.Author))
	return writeFrame(out, frameDone, info)
}

// clean makes text storable: valid UTF-8 without NUL.
func clean(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if strings.IndexByte(s, 0) >= 0 {
		s = strings.ReplaceAll(s, "\x00", "")
	}
	return s
}

// clip keeps a message far below maxControl, however JSON escapes it.
func clip(s string) string {
	const most = 2000
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
