package pdfium

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"time"

	"github.com/klippa-app/go-pdfium"
	"github.com/klippa-app/go-pdfium/webassembly"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// module is the running WebAssembly instance of PDFium. Nothing in it may be
// called from two goroutines at once.
//
// go-pdfium is what compiles and starts it. Its own calls cost several
// allocations on both sides of the boundary for every character, so this
// package calls PDFium's exported functions by itself.
type module struct {
	pool pdfium.Pool
	mod  api.Module
	mem  api.Memory
	fn   map[string]api.Function
}

// openTimeout is how long making an instance of the compiled module may take.
const openTimeout = 30 * time.Second

// openModule compiles PDFium, or takes the compiled code from cacheDir, and
// starts it with at most memory bytes.
func openModule(cacheDir string, memory int64) (m *module, err error) {
	config := wazero.NewRuntimeConfig().WithMemoryLimitPages(uint32(memory / wasmPage))
	if cacheDir != "" {
		cache, err := wazero.NewCompilationCacheWithDir(cacheDir)
		if err != nil {
			return nil, fmt.Errorf("open compilation cache: %w", err)
		}
		config = config.WithCompilationCache(cache)
	}
	pool, err := webassembly.Init(webassembly.Config{
		MinIdle: 1, MaxIdle: 1, MaxTotal: 1,
		// The default would mount the host's root directory.
		FSConfig:      wazero.NewFSConfig(),
		RuntimeConfig: config,
		Stdout:        io.Discard,
		Stderr:        io.Discard,
	})
	if err != nil {
		return nil, fmt.Errorf("compile pdfium: %w", err)
	}
	defer func() {
		if err != nil {
			_ = pool.Close()
		}
	}()
	instance, err := pool.GetInstance(openTimeout)
	if err != nil {
		return nil, fmt.Errorf("start pdfium: %w", err)
	}
	mod, err := moduleOf(instance)
	if err != nil {
		return nil, err
	}
	m = &module{pool: pool, mod: mod, mem: mod.Memory(), fn: map[string]api.Function{}}
	for _, name := range imported {
		if m.fn[name] = mod.ExportedFunction(name); m.fn[name] == nil {
			return nil, fmt.Errorf("start pdfium: it does not export %s", name)
		}
	}
	return m, nil
}

// moduleOf returns the WebAssembly module behind an instance. The field is
// exported but its type is in an internal package, hence the reflection.
func moduleOf(instance pdfium.Pdfium) (api.Module, error) {
	v := reflect.Indirect(reflect.ValueOf(instance.GetImplementation()))
	if v.Kind() == reflect.Struct {
		if f := v.FieldByName("Module"); f.IsValid() && f.CanInterface() {
			if mod, ok := reflect.TypeAssert[api.Module](f); ok {
				return mod, nil
			}
		}
	}
	return nil, errors.New("start pdfium: go-pdfium keeps its module elsewhere than it did in v1.17")
}

func (m *module) close() error { return m.pool.Close() }

// wasmPage is the unit of a WebAssembly memory, in bytes.
const wasmPage = 64 << 10

// imported are the functions that are called.
var imported = []string{
	"malloc", "free",
	"FPDF_LoadMemDocument", "FPDF_CloseDocument", "FPDF_GetLastError", "FPDF_GetPageCount", "FPDF_GetMetaText",
	"FPDF_LoadPage", "FPDF_ClosePage",
	"FPDFPage_GetAnnotCount", "FPDFPage_GetAnnot", "FPDFAnnot_GetSubtype", "FPDFPage_CloseAnnot", "FPDFPage_Flatten",
	"FPDFText_LoadPage", "FPDFText_ClosePage", "FPDFText_CountChars",
	"FPDFText_GetUnicode", "FPDFText_GetLooseCharBox", "FPDFText_GetCharOrigin", "FPDFText_GetTextObject",
	"FPDFText_GetFontSize", "FPDFText_GetCharAngle", "FPDFText_GetMatrix", "FPDFTextObj_GetFont", "FPDFFont_GetBaseFontName",
}

// call calls one of the imported functions and returns its result as it came,
// 0 for one without.
func (m *module) call(name string, args ...uint64) uint64 {
	return m.invoke(m.fn[name], args...)
}

func (m *module) invoke(f api.Function, args ...uint64) uint64 {
	res, err := f.Call(context.Background(), args...)
	if err != nil {
		panic(trap{err})
	}
	if len(res) == 0 {
		return 0
	}
	return res[0]
}

// trap is what a call panics with when PDFium's code fails: it ran out of its
// memory or stack, or touched what is not its own. Its state is unknown then.
type trap struct{ err error }

func (t trap) Error() string { return "pdfium: " + t.err.Error() }
func (t trap) Unwrap() error { return t.err }

func (m *module) malloc(size int) (uint64, bool) {
	p := m.call("malloc", uint64(size))
	return p, p != 0
}

func (m *module) free(p uint64) { m.call("free", p) }

func (m *module) bytes(p uint64, size int) []byte {
	b, ok := m.mem.Read(uint32(p), uint32(size))
	if !ok {
		panic(trap{fmt.Errorf("%d bytes at %#x are outside of the memory", size, p)})
	}
	return b
}

func float32At(b []byte, i int) float64 {
	return float64(math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:])))
}

func float64At(b []byte, i int) float64 {
	return math.Float64frombits(binary.LittleEndian.Uint64(b[8*i:]))
}
