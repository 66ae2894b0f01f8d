package openaitest

import (
	"encoding/json"
	"hash/fnv"
	"math"
	"net/http"
	"strings"
	"unicode"
)

func (s *Server) embeddings(w http.ResponseWriter, r *http.Request) {
	var request struct {
		Input []string `json:"input"`
	}
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		refuse(w, http.StatusBadRequest, "")
		return
	}
	s.mu.Lock()
	s.embedded = append(s.embedded, request.Input)
	status, retryAfter := s.refuse, s.retryAfter
	s.mu.Unlock()
	if status != 0 {
		refuse(w, status, retryAfter)
		return
	}
	data := make([]map[string]any, len(request.Input))
	for i, text := range request.Input {
		// Last first: the order of a reply is told by its indices only.
		data[len(data)-1-i] = map[string]any{"object": "embedding", "index": i, "embedding": Vector(text)}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"object": "list", "data": data}) // the client has left
}

// Vector returns the vector of a text, of length 1: each word adds to two of
// its Dim components, chosen by the word's hash.
func Vector(text string) []float32 {
	v := make([]float32, Dim)
	v[0] = 0.01 // a text without words has a direction, too
	for word := range strings.FieldsFuncSeq(strings.ToLower(text), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsNumber(r)
	}) {
		h := fnv.New32a()
		_, _ = h.Write([]byte(word)) // never fails
		v[h.Sum32()%Dim]++
		v[(h.Sum32()>>8)%Dim] += 0.5
	}
	sum := 0.0
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	for i := range v {
		v[i] /= float32(math.Sqrt(sum))
	}
	return v
}
