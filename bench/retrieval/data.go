package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"

	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/bm25"
)

// dataset is a collection with questions and known answers.
type dataset struct {
	documents []text
	queries   []text
	relevant  map[string]map[string]float64 // query → document → gain
}

type text struct {
	ID    string `json:"_id"`
	Title string `json:"title"`
	Text  string `json:"text"`
}

func load(dir string) (dataset, error) {
	documents, err := loadTexts(filepath.Join(dir, "corpus.jsonl"))
	if err != nil {
		return dataset{}, err
	}
	queries, err := loadTexts(filepath.Join(dir, "queries.jsonl"))
	if err != nil {
		return dataset{}, err
	}
	relevant, err := loadJudgments(filepath.Join(dir, "qrels.tsv"))
	return dataset{documents: documents, queries: queries, relevant: relevant}, err
}

func loadTexts(path string) ([]text, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var texts []text
	decoder := json.NewDecoder(bufio.NewReader(file))
	for {
		var t text
		err := decoder.Decode(&t)
		if errors.Is(err, io.EOF) {
			return texts, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: text %d: %w", path, len(texts)+1, err)
		}
		texts = append(texts, t)
	}
}

func loadJudgments(path string) (map[string]map[string]float64, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	judgments := make(map[string]map[string]float64)
	for line := range strings.Lines(string(content)) {
		fields := strings.Fields(line)
		if len(fields) != 3 || fields[0] == "query-id" {
			continue
		}
		gain, err := strconv.ParseFloat(fields[2], 64)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if judgments[fields[0]] == nil {
			judgments[fields[0]] = make(map[string]float64)
		}
		judgments[fields[0]][fields[1]] = gain
	}
	return judgments, nil
}

// cut makes passages of up to words words, each after the title.
func (d dataset) cut(words, titles int) []voiceassist.Point {
	var points []voiceassist.Point
	for _, document := range d.documents {
		id := documentID(document.ID)
		head := strings.Repeat(document.Title+"\n", titles)
		for i, body := range cutText(document.Text, words) {
			points = append(points, voiceassist.Point{
				ID:         voiceassist.PassageID(id, 1, i, body),
				DocumentID: id,
				Generation: 1,
				Text:       head + body,
			})
		}
	}
	return points
}

func documentID(id string) uuid.UUID { return uuid.NewSHA1(uuid.NameSpaceOID, []byte(id)) }

// cutText fills passages of similar size with whole sentences. A sentence that
// is too long for one is a passage of its own.
func cutText(s string, words int) []string {
	total := len(strings.Fields(s))
	if words == 0 || total <= words {
		return []string{s}
	}
	passages := (total + words - 1) / words
	target := (total + passages - 1) / passages
	var cut []string
	var current strings.Builder
	n := 0
	for _, sentence := range sentences(s) {
		size := len(strings.Fields(sentence))
		if n > 0 && (n+size > words || n >= target) {
			cut = append(cut, current.String())
			current.Reset()
			n = 0
		}
		current.WriteString(sentence)
		n += size
	}
	return append(cut, current.String())
}

// sentences cuts after a full stop, question or exclamation mark before white
// space and a capital letter, a digit or a dash.
func sentences(s string) []string {
	var all []string
	start := 0
	for i := 0; i+2 < len(s); i++ {
		if !strings.ContainsRune(".?!", rune(s[i])) || s[i+1] != ' ' && s[i+1] != '\n' {
			continue
		}
		if next := rune(s[i+2]); unicode.IsUpper(next) || unicode.IsDigit(next) || next == '-' {
			all = append(all, s[start:i+2])
			start = i + 2
		}
	}
	return append(all, s[start:])
}

func averageLength(points []voiceassist.Point) float64 {
	terms := 0
	for _, p := range points {
		terms += len(bm25.Terms(p.Text))
	}
	return float64(terms) / float64(max(1, len(points)))
}
