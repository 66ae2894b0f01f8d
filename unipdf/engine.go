// Package unipdf reads the text out of PDF files with unidoc's UniPDF, which
// needs a licence: every extraction is refused, and metered, without one.
package unipdf

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/unidoc/unipdf/v3/common/license"
	"github.com/unidoc/unipdf/v3/extractor"
	"github.com/unidoc/unipdf/v3/model"

	voiceassist "github.com/voiceassist/backend"
)

// Engine reads PDF files.
type Engine struct{}

var _ voiceassist.TextEngine = (*Engine)(nil)

// New registers the metered licence key for the whole process. It asks the
// licence service whether the key is good.
func New(meteredKey string) (*Engine, error) {
	if strings.TrimSpace(meteredKey) == "" {
		return nil, errors.New("unipdf: no licence key")
	}
	if err := license.SetMeteredKey(meteredKey); err != nil {
		return nil, fmt.Errorf("unipdf: register the licence key: %w", err)
	}
	return &Engine{}, nil
}

// Name implements voiceassist.TextEngine.
func (*Engine) Name() string { return "unipdf/1" }

// Extract implements voiceassist.TextEngine. The context is looked at between
// pages only.
func (*Engine) Extract(ctx context.Context, path string, pages voiceassist.PageRange, emit func(voiceassist.Page) error) (voiceassist.FileInfo, error) {
	f, err := os.Open(path)
	if err != nil {
		return voiceassist.FileInfo{}, fmt.Errorf("open file: %w", err)
	}
	defer f.Close()
	reader, err := open(f)
	if err != nil {
		return voiceassist.FileInfo{}, err
	}
	count, err := reader.GetNumPages()
	if err != nil {
		return voiceassist.FileInfo{}, damaged(err)
	}
	first, last := pages.Of(count)
	for n := first; n <= last; n++ {
		if err := ctx.Err(); err != nil {
			return voiceassist.FileInfo{}, err
		}
		text, err := pageText(reader, n)
		if err != nil {
			return voiceassist.FileInfo{}, err
		}
		if err := emit(voiceassist.Page{Number: n, Text: text}); err != nil {
			return voiceassist.FileInfo{}, err
		}
	}
	info := voiceassist.FileInfo{Pages: count}
	if i, err := reader.GetPdfInfo(); err == nil {
		if i.Title != nil {
			info.Title = i.Title.Decoded()
		}
		if i.Author != nil {
			info.Author = i.Author.Decoded()
		}
	}
	return info, nil
}

// open tries the empty password, which is what a file has that may be read and
// not changed.
func open(f *os.File) (*model.PdfReader, error) {
	reader, err := model.NewPdfReaderLazy(f)
	if err != nil {
		return nil, damaged(err)
	}
	encrypted, err := reader.IsEncrypted()
	if err != nil {
		return nil, damaged(err)
	}
	if !encrypted {
		return reader, nil
	}
	if ok, err := reader.Decrypt(nil); err != nil || !ok {
		return nil, &voiceassist.Failure{Reason: voiceassist.ReasonEncrypted, Message: "The file is encrypted and opens only with a password.", Err: err}
	}
	return reader, nil
}

func pageText(reader *model.PdfReader, n int) (string, error) {
	page, err := reader.GetPage(n)
	if err != nil {
		return "", damaged(err)
	}
	x, err := extractor.New(page)
	if err != nil {
		return "", damaged(err)
	}
	text, err := x.ExtractText()
	if err != nil && isLicence(err) {
		return "", fmt.Errorf("read page %d: %w", n, err)
	}
	if err != nil {
		return "", damaged(err)
	}
	return text, nil
}

// isLicence tells the refusal of a page for want of a licence, which is no
// fault of the file. The library has no error value for it.
func isLicence(err error) bool {
	s := strings.ToLower(err.Error())
	return strings.Contains(s, "license") || strings.Contains(s, "licence")
}

func damaged(err error) error {
	return &voiceassist.Failure{Reason: voiceassist.ReasonDamaged, Message: "The file is damaged: it cannot be read as PDF.", Err: err}
}
