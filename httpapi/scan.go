package httpapi

// eachField calls f for every member of a JSON object, in order, with its key
// (as written, without quotes) and the whole member `"key":value`. It does
// nothing for other values. The JSON must be compact and valid, as
// encoding/json writes it.
func eachField(object []byte, f func(key, field []byte)) {
	if len(object) < 2 || object[0] != '{' {
		return
	}
	for i := 1; i < len(object) && object[i] == '"'; {
		keyEnd := endOfString(object, i)
		end := endOfValue(object, keyEnd+1)
		f(object[i+1:keyEnd-1], object[i:end])
		i = end + 1 // past the comma
	}
}

// endOfValue returns the index after the value that begins at i.
func endOfValue(b []byte, i int) int {
	depth := 0
	for i < len(b) {
		switch b[i] {
		case '"':
			i = endOfString(b, i)
			if depth == 0 {
				return i
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i
			}
			depth--
			if depth == 0 {
				return i + 1
			}
		case ',':
			if depth == 0 {
				return i
			}
		}
		i++
	}
	return i
}

// endOfString returns the index after the string that begins at i.
func endOfString(b []byte, i int) int {
	for i++; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return i
}
