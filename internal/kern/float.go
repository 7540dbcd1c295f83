package kern

// Float is the set of element types of all kernels. float32 is the fast one; float64 is for gradient checks.
type Float interface{ float32 | float64 }
