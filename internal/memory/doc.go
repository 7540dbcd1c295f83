// Package memory says how much memory a process may use: the smallest of what the machine has, of the
// limits of its control groups (containers, batch systems), and of its address space (ulimit -v).
package memory
