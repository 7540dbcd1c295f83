// Package archtest holds the direction of imports that docs/architecture.md lays down. It has tests only.
package archtest
