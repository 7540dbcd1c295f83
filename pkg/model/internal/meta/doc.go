// Package meta reads and writes folders as Meta ships Llama: params.json, and consolidated.00.pth or
// several such files among which the tensors are shared out.
package meta
