package httpapi

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	voiceassist "github.com/voiceassist/backend"
)

// named is a body that is a list. Of its arrays only the one that named returns
// stands at the top level of the envelope too.
type named interface{ named() string }

// bare is a body that the v1 guide prints as an array. The total goes into the
// header X-Total-Count.
type bare interface{ bare() (rows any, total int) }

// array is a list that the contract sends as an array, in both profiles.
type array[T any] struct {
	rows   []T // never nil
	total  int
	offset int
	limit  int
}

func (a array[T]) bare() (any, int) { return a.rows, a.total }

// members are what stands beside the array in the envelope, as JSON.
func (a array[T]) members() string {
	return fmt.Sprintf(`"total":%d,"offset":%d,"limit":%d,`, a.total, a.offset, a.limit)
}

// list implements rowsHolder.
func (a array[T]) list() any { return a.rows }

// MarshalJSON implements json.Marshaler.
func (a array[T]) MarshalJSON() ([]byte, error) { return appendJSON(nil, a.rows) }

// reply writes v with a status, in the shape of the request's profile.
func reply(ctx *fasthttp.RequestCtx, req *request, status int, v any) error {
	buf := buffers.Get().(*bytes.Buffer)
	defer release(buf)
	ctx.SetStatusCode(status)
	if err := encode(buf, ctx, req, v); err != nil {
		return err
	}
	ctx.Response.Header.SetContentType("application/json; charset=utf-8")
	ctx.SetBody(buf.Bytes())
	return nil
}

// encode appends to out the JSON of a reply whose resource is v.
func encode(out *bytes.Buffer, ctx *fasthttp.RequestCtx, req *request, v any) error {
	if b, ok := v.(bare); ok {
		rows, total := b.bare()
		ctx.Response.Header.Set("X-Total-Count", strconv.Itoa(total))
		if req.flat {
			return marshal(out, rows)
		}
	}
	if req.flat {
		return marshal(out, v)
	}
	inner := renderings.Get().(*rendering)
	defer inner.release()
	var err error
	if inner.json, err = appendObject(inner.json[:0], v, &inner.members); err != nil {
		return fmt.Errorf("encode %T: %w", v, err)
	}
	list, beside := "", ""
	if n, ok := v.(named); ok {
		list = n.named()
	}
	if a, ok := v.(interface{ members() string }); ok {
		beside = a.members()
	}
	out.Grow(2*len(inner.json) + 512)
	envelope(out, req, ctx.Response.StatusCode() < http.StatusBadRequest, inner, list, beside)
	return nil
}

// rendering is the JSON of a resource, and where its members stand if it is an
// object.
type rendering struct {
	json    []byte
	members []span
}

var renderings = sync.Pool{New: func() any { return new(rendering) }}

// release returns a rendering to the pool, unless it is too big to keep.
func (r *rendering) release() {
	if cap(r.json) > 1<<20 {
		return
	}
	r.members = r.members[:0]
	renderings.Put(r)
}

// envelope writes data and, if it is an object, its fields again at the top
// level. The envelope owns success, data, error and meta; metadata, timestamp
// and trace_id are the resource's if it has them. If list is not empty, it
// names the only array that is repeated. Beside are the top level's members if
// data is an array, each with a comma.
func envelope(out *bytes.Buffer, req *request, success bool, data *rendering, list, beside string) {
	var own struct{ metadata, timestamp, trace bool }
	out.WriteByte('{')
	out.WriteString(beside)
	for _, m := range data.members {
		switch m.key {
		case "success", "data", "error", "meta":
			continue
		case "metadata":
			own.metadata = true
		case "timestamp":
			own.timestamp = true
		case "trace_id":
			own.trace = true
		}
		if list != "" && data.json[m.value] == '[' && m.key != list {
			continue
		}
		out.Write(data.json[m.from:m.end])
		out.WriteByte(',')
	}
	now := stamp(time.Now())
	out.WriteString(`"success":`)
	out.WriteString(strconv.FormatBool(success))
	out.WriteString(`,"data":`)
	out.Write(data.json)
	out.WriteString(`,"error":null,"meta":{"request_id":"`)
	out.WriteString(req.id)
	out.WriteString(`","timestamp":"`)
	out.WriteString(now)
	out.WriteString(`"}`)
	if !own.metadata {
		out.WriteString(`,"metadata":{"version":"` + voiceassist.Version + `","request_id":"`)
		out.WriteString(req.id)
		out.WriteString(`"}`)
	}
	if !own.timestamp {
		out.WriteString(`,"timestamp":"`)
		out.WriteString(now)
		out.WriteByte('"')
	}
	if !own.trace {
		out.WriteString(`,"trace_id":"`)
		out.WriteString(req.trace)
		out.WriteByte('"')
	}
	out.WriteByte('}')
}

// marshal appends the JSON of v, without a newline.
func marshal(out *bytes.Buffer, v any) error {
	encoded, err := appendJSON(out.AvailableBuffer(), v)
	if err != nil {
		return err
	}
	out.Write(encoded)
	return nil
}

// timeLayout is RFC 3339 in UTC with milliseconds, which every client's date
// parser takes.
const timeLayout = "2006-01-02T15:04:05.000Z"

func stamp(t time.Time) string { return t.UTC().Format(timeLayout) }

// stampOrNil is stamp for times that may be missing, which print as null.
func stampOrNil(t *time.Time) *string {
	if t == nil {
		return nil
	}
	return new(stamp(*t))
}

// epoch is the time in seconds, as the health routes tell it.
func epoch(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// release returns a buffer to the pool, unless one large reply has made it too
// big to keep.
func release(buf *bytes.Buffer) {
	if buf.Cap() > 1<<20 {
		return
	}
	buf.Reset()
	buffers.Put(buf)
}
