//go:build !purego

package kern

//go:generate go -C _asm run ./rows -out ../rows_amd64.s -stubs ../rows_stubs_amd64.go -pkg kern
