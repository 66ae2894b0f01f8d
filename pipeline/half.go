package pipeline

import "math"

// IEEE 754 binary16: 1 sign bit, 5 bits of exponent (bias 15), 10 of mantissa.

// toHalf returns the half float nearest to f; what is too large is infinite.
func toHalf(f float32) uint16 {
	bits := math.Float32bits(f)
	sign := uint16(bits>>16) & 0x8000
	abs := bits & 0x7fffffff
	switch {
	case abs > 0x7f800000:
		return sign | 0x7e00 // not a number
	case abs >= 0x47800000:
		return sign | 0x7c00
	case abs >= 0x38800000: // normal
		return sign | uint16((abs-0x38000000+0xfff+(abs>>13&1))>>13)
	case abs < 0x33000000:
		return sign
	}
	// Subnormal: shift the mantissa, with its hidden bit, into place.
	shift := 126 - abs>>23
	mantissa := abs&0x7fffff | 0x800000
	half := mantissa >> shift
	rest, middle := mantissa&(1<<shift-1), uint32(1)<<(shift-1)
	if rest > middle || rest == middle && half&1 == 1 {
		half++
	}
	return sign | uint16(half)
}

// fromHalf returns the value of a half float.
func fromHalf(h uint16) float32 {
	sign := uint32(h&0x8000) << 16
	exponent, mantissa := uint32(h>>10&0x1f), uint32(h&0x3ff)
	switch exponent {
	case 0:
		f := float32(mantissa) / (1 << 24)
		if sign != 0 {
			return -f
		}
		return f
	case 0x1f:
		return math.Float32frombits(sign | 0x7f800000 | mantissa<<13)
	}
	return math.Float32frombits(sign | (exponent+112)<<23 | mantissa<<13)
}
