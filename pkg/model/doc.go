// Package model is Llama 2 (Touvron et al. 2023, section 2.2).
package model
