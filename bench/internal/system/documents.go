package system

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// SharedData is the directory with the data to measure on: SHARED_DATA, else
// other.
func SharedData(other string) (string, error) {
	data := cmp.Or(os.Getenv("SHARED_DATA"), other)
	if _, err := os.Stat(filepath.Join(data, "papers")); err != nil {
		return "", fmt.Errorf("no data (set SHARED_DATA): %w", err)
	}
	return data, nil
}

// Document is something to upload.
type Document struct {
	Name    string
	Title   string // "" leaves it to the file
	Content []byte
}

// Files reads the files that match a pattern below the shared data.
func Files(data string, pattern ...string) ([]Document, error) {
	names, err := filepath.Glob(filepath.Join(append([]string{data}, pattern...)...))
	if err != nil {
		return nil, err
	}
	documents := make([]Document, len(names))
	for i, name := range names {
		content, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		documents[i] = Document{Name: filepath.Base(name), Content: content}
	}
	if len(documents) == 0 {
		return nil, fmt.Errorf("no files %s in %s", filepath.Join(pattern...), data)
	}
	return documents, nil
}

// Medquad reads up to limit of the documents of MedQuAD, 0 being all, as text
// files, each under its title, as `voiceassist eval` loads them.
func Medquad(data string, limit int) ([]Document, error) {
	file, err := os.Open(filepath.Join(data, "retrieval", "medquad", "corpus.jsonl"))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var documents []Document
	for decoder := json.NewDecoder(file); limit == 0 || len(documents) < limit; {
		var d struct {
			ID    string `json:"_id"`
			Title string
			Text  string
		}
		if err := decoder.Decode(&d); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		documents = append(documents, Document{
			Name: d.ID + ".txt", Title: d.Title, Content: []byte(strings.TrimSpace(d.Title + "\n\n" + d.Text)),
		})
	}
	return documents, nil
}

// WithNonce returns the document as one that differs from all others. A PDF
// gets a comment after its end, which readers overlook; a text, a line.
func (d Document) WithNonce(nonce string) Document {
	ext := filepath.Ext(d.Name)
	mark := "\n\nCopy " + nonce + ".\n"
	switch ext {
	case ".pdf":
		mark = "\n% copy " + nonce + "\n"
	case ".html":
		mark = "\n<p>Copy " + nonce + ".</p>\n"
	}
	return Document{
		Name: strings.TrimSuffix(d.Name, ext) + "-" + nonce + ext, Title: d.Title,
		Content: append(append([]byte(nil), d.Content...), mark...),
	}
}
