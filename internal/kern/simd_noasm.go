//go:build !amd64 || purego

package kern

func detect() level { return portable }
