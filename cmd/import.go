package cmd

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	voiceassist "github.com/voiceassist/backend"
)

// uploadsAtOnce is how many files an import sends at the same time.
const uploadsAtOnce = 4

// localFile is a file to be imported, as a manifest lists it.
type localFile struct {
	Name   string `json:"name"` // its path
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// loadedBatch is what the API says of a batch.
type loadedBatch struct {
	ID      string
	EndedAt *string `json:"ended_at"`
	Account struct {
		Declared, Awaited, Indexed, Duplicate, Skipped, Failed, Cancelled, Imbalance int

		InFlight int `json:"in_flight"`
	}
}

// importFiles loads every file named or found below a directory named as a
// batch: it lists them, uploads those that the library has not, waits, and tells
// the account and the fate of each file that is not in the library, which is an
// error. Broken off, the same command goes on with the same batch; after the end
// it opens another, to which only what is missing comes.
func importFiles(ctx context.Context, c call) error {
	cl, roots, err := connect(ctx, c)
	if err != nil {
		return err
	}
	files, err := findFiles(ctx, roots)
	if err != nil {
		return err
	}
	if len(files) == 0 {
		fmt.Fprintln(c.out, "there is no file")
		return nil
	}
	if len(files) > voiceassist.MaxBatchFiles {
		return fmt.Errorf("%d files are too many for one batch, which has at most %d: import the directories below one by one", len(files), voiceassist.MaxBatchFiles)
	}
	name, err := batchName(roots)
	if err != nil {
		return err
	}
	id, missing, err := cl.listFiles(ctx, name, files)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.out, "batch %s: %d files, %d to upload\n", id, len(files), len(missing))
	refused, err := cl.uploadAll(ctx, id, missing)
	if err != nil {
		return err
	}
	for _, message := range refused {
		fmt.Fprintln(c.out, message)
	}
	if err := cl.post(ctx, batchesPath+"/"+id+"/close", nil, nil); err != nil {
		return err
	}
	b, err := cl.awaitBatch(ctx, id)
	if err != nil {
		return err
	}
	return cl.tellAccount(ctx, c.out, b)
}

// findFiles lists the files below the roots, with their digests.
func findFiles(ctx context.Context, roots []string) (files []localFile, err error) {
	for _, root := range roots {
		if err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			size, digest, err := digestOf(name)
			files = append(files, localFile{Name: filepath.ToSlash(name), Size: size, SHA256: digest})
			return err
		}); err != nil {
			return nil, err
		}
	}
	return files, nil
}

func digestOf(name string) (size int64, digest string, err error) {
	f, err := os.Open(name)
	if err != nil {
		return 0, "", err
	}
	defer f.Close()
	hash := sha256.New()
	size, err = io.Copy(hash, f)
	return size, hex.EncodeToString(hash.Sum(nil)), err
}

// batchName names the batch of a command line, so that the same command finds
// it again.
func batchName(roots []string) (string, error) {
	paths := make([]string, len(roots))
	for i, root := range roots {
		path, err := filepath.Abs(root)
		if err != nil {
			return "", err
		}
		paths[i] = path
	}
	return voiceassist.Preview("import "+strings.Join(paths, " "), 200), nil
}

const batchesPath = "/api/admin/kb/batches"

// listFiles lists files in the batch of this name that has not ended, or a new
// one, and returns its id and those that have to be uploaded. In a batch that
// goes on, what has failed is tried again.
func (c *client) listFiles(ctx context.Context, name string, files []localFile) (id string, missing []localFile, err error) {
	var open struct{ Data []loadedBatch }
	if err := c.get(ctx, batchesPath+"?open=true&limit=1&name="+url.QueryEscape(name), &open); err != nil {
		return "", nil, err
	}
	if len(open.Data) > 0 && open.Data[0].Account.Failed > 0 {
		if err := c.post(ctx, batchesPath+"/"+open.Data[0].ID+"/retry", nil, nil); err != nil && voiceassist.CodeOf(err) != voiceassist.Conflict {
			return "", nil, err
		}
	}
	if len(open.Data) > 0 {
		id = open.Data[0].ID
	}
	for len(files) > 0 {
		chunk := files[:min(len(files), voiceassist.MaxManifestChunk)]
		files = files[len(chunk):]
		request := map[string]any{"name": name, "files": chunk, "more": len(files) > 0}
		path := batchesPath
		if id != "" {
			path += "/" + id + "/manifest"
		}
		var reply struct {
			Data struct {
				ID    string
				Files []struct{ Upload bool }
			}
		}
		err := c.post(ctx, path, request, &reply)
		if id != "" && voiceassist.CodeOf(err) == voiceassist.Conflict { // it was closed before it was broken off
			return c.listAgain(ctx, id, name, append(chunk, files...))
		}
		if err != nil {
			return "", nil, err
		}
		id = reply.Data.ID
		for i, f := range reply.Data.Files {
			if f.Upload {
				missing = append(missing, chunk[i])
			}
		}
	}
	return id, distinct(missing), nil
}

// listAgain waits for the end of a batch that takes no more files, and lists
// the files in a new one.
func (c *client) listAgain(ctx context.Context, id, name string, files []localFile) (string, []localFile, error) {
	if _, err := c.awaitBatch(ctx, id); err != nil {
		return "", nil, err
	}
	return c.listFiles(ctx, name, files)
}

// distinct returns files of which no two have the same bytes.
func distinct(files []localFile) []localFile {
	seen := make(map[string]bool, len(files))
	var kept []localFile
	for _, f := range files {
		if !seen[f.SHA256] {
			kept = append(kept, f)
		}
		seen[f.SHA256] = true
	}
	return kept
}

// refusals are ends of an upload that another attempt does not change.
var refusals = []voiceassist.Code{voiceassist.Invalid, voiceassist.UnsupportedMedia, voiceassist.TooLarge}

// uploadAll uploads files into a batch and returns what it is told of those that
// are refused.
func (c *client) uploadAll(ctx context.Context, id string, files []localFile) ([]string, error) {
	messages := make([]string, len(files))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(uploadsAtOnce)
	for i, f := range files {
		g.Go(func() error {
			err := c.uploadFile(ctx, id, f)
			if slices.Contains(refusals, voiceassist.CodeOf(err)) {
				messages[i] = fmt.Sprintf("refused    %s: %v", f.Name, err)
				return nil
			}
			return err
		})
	}
	err := g.Wait()
	var refused []string
	for _, message := range messages {
		if message != "" {
			refused = append(refused, message)
		}
	}
	return refused, err
}

// uploadFile sends one file of a batch while it reads it.
func (c *client) uploadFile(ctx context.Context, id string, f localFile) error {
	var head bytes.Buffer
	form := multipart.NewWriter(&head)
	if _, err := form.CreateFormFile("file", filepath.Base(f.Name)); err != nil {
		return err
	}
	tail := "\r\n--" + form.Boundary() + "--\r\n"
	path := batchesPath + "/" + id + "/files?name=" + url.QueryEscape(f.Name)
	return c.do(ctx, http.MethodPost, path, form.FormDataContentType(), func() io.Reader {
		file, err := os.Open(filepath.FromSlash(f.Name))
		if err != nil {
			return failing{err}
		}
		return &fileForm{Reader: io.MultiReader(bytes.NewReader(head.Bytes()), file, strings.NewReader(tail)), Closer: file}
	}, nil)
}

// fileForm is a form whose file is closed with it.
type fileForm struct {
	io.Reader
	io.Closer
}

// failing is a body that cannot be read.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// awaitBatch waits until a batch has ended.
func (c *client) awaitBatch(ctx context.Context, id string) (loadedBatch, error) {
	for {
		var reply struct{ Data loadedBatch }
		if err := c.get(ctx, batchesPath+"/"+id, &reply); err != nil || reply.Data.EndedAt != nil {
			return reply.Data, err
		}
		sleep(ctx, 500*time.Millisecond)
		if err := ctx.Err(); err != nil {
			return loadedBatch{}, err
		}
	}
}

// errNotAll is the end of an import that has not brought every file into the
// library.
var errNotAll = errors.New("not every file is in the library; the same command tries again")

// tellAccount prints what has become of the files of a batch: how many, and
// those that are not in the library with the reason.
func (c *client) tellAccount(ctx context.Context, out io.Writer, b loadedBatch) error {
	for _, fate := range []voiceassist.Fate{voiceassist.FateSkipped, voiceassist.FateCancelled, voiceassist.FateFailed, voiceassist.FateAwaited} {
		if err := c.tellFiles(ctx, out, b.ID, fate); err != nil {
			return err
		}
	}
	a := b.Account
	fmt.Fprintf(out, "%d files: %d indexed, %d duplicates, %d skipped, %d failed, %d cancelled, %d not uploaded\n",
		a.Declared, a.Indexed, a.Duplicate, a.Skipped, a.Failed, a.Cancelled, a.Awaited)
	if a.Failed+a.Awaited+a.Cancelled+a.Imbalance > 0 {
		return errNotAll
	}
	return nil
}

// tellFiles prints the files of a batch with a fate, and why.
func (c *client) tellFiles(ctx context.Context, out io.Writer, id string, fate voiceassist.Fate) error {
	for offset := 0; ; offset += 100 {
		var page struct {
			Data []struct {
				Name         string
				ErrorMessage string `json:"error_message"`
			}
		}
		if err := c.get(ctx, fmt.Sprintf("%s/%s/files?state=%s&limit=100&offset=%d", batchesPath, id, fate, offset), &page); err != nil {
			return err
		}
		for _, f := range page.Data {
			fmt.Fprintf(out, "%-10s %s: %s\n", fate, f.Name, f.ErrorMessage)
		}
		if len(page.Data) < 100 {
			return nil
		}
	}
}
