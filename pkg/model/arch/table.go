package arch

import (
	"fmt"
	"strings"
)

// Names of the scalar head's weights, which are also their names in Hugging Face folders.
const (
	ScoreWeight = "score.weight"
	ScoreBias   = "score.bias"
)

// Llama is the table of Llama and the families like it, with the scalar head at the end. For C of width, H heads of width D,
// KV key and value heads, F hidden width and V tokens the weights are:
//
//	embed             (V, C)
//	layers.i.attn_norm (C)
//	layers.i.qkv      ((H + 2 KV) D, C)   queries, keys and values packed
//	layers.i.qkv_bias ((H + 2 KV) D)      only with Config.QKVBias
//	layers.i.q_norm   (D)                 only with Config.QKNorm, for each head of queries
//	layers.i.k_norm   (D)                 the same for keys
//	layers.i.attn_out (C, H D)
//	layers.i.attn_out_bias (C)            only with Config.OutputBias
//	layers.i.ffn_norm (C)
//	layers.i.gate_up  (2 F, C)            gate and up packed
//	layers.i.down     (C, F)
//	norm              (C)
//	output            (V, C)              absent with TieEmbeddings and after DropOutput
//	score.weight      (1, C)              only with a scalar head
//	score.bias        (1)                 only with a scalar head
func Llama() Table {
	return Table{
		{
			Name: "embed", Shape: Shape{vocab, dim}, Init: Normal, Decay: true,
			Files: []Piece{{Names: Names{"model.embed_tokens.weight", "token_embd.weight", "tok_embeddings.weight"}, Split: ByColumns}},
		},
		{
			Name: "layers.%d.attn_norm", Shape: Shape{dim}, Init: Ones,
			Files: []Piece{{Names: inLayer("input_layernorm", "attn_norm", "attention_norm"), Split: Whole}},
		},
		{
			Name: "layers.%d.qkv", Shape: Shape{Config.QKVDim, dim}, Init: Normal, Decay: true,
			Files: []Piece{
				{Names: inLayer("self_attn.q_proj", "attn_q", "attention.wq"), Rows: queries, Rotated: true},
				{Names: inLayer("self_attn.k_proj", "attn_k", "attention.wk"), Rows: keys, Rotated: true},
				{Names: inLayer("self_attn.v_proj", "attn_v", "attention.wv"), Rows: keys},
			},
		},
		{
			Name: "layers.%d.qkv_bias", Shape: Shape{Config.QKVDim}, Init: Zeros,
			If: Config.QKVBias,
			Files: []Piece{
				{Names: biasInLayer("self_attn.q_proj", "attn_q"), Rows: queries, Rotated: true},
				{Names: biasInLayer("self_attn.k_proj", "attn_k"), Rows: keys, Rotated: true},
				{Names: biasInLayer("self_attn.v_proj", "attn_v"), Rows: keys},
			},
		},
		{
			Name: "layers.%d.q_norm", Shape: Shape{headDim}, Init: Ones,
			If:    Config.QKNorm,
			Files: []Piece{{Names: inLayer("self_attn.q_norm", "attn_q_norm", ""), Split: Whole}},
		},
		{
			Name: "layers.%d.k_norm", Shape: Shape{headDim}, Init: Ones,
			If:    Config.QKNorm,
			Files: []Piece{{Names: inLayer("self_attn.k_norm", "attn_k_norm", ""), Split: Whole}},
		},
		{
			Name: "layers.%d.attn_out", Shape: Shape{dim, queries}, Init: Residual, Decay: true,
			Files: []Piece{{Names: inLayer("self_attn.o_proj", "attn_output", "attention.wo"), Split: ByColumns}},
		},
		{
			Name: "layers.%d.attn_out_bias", Shape: Shape{dim}, Init: Zeros,
			If:    Config.OutputBias,
			Files: []Piece{{Names: biasInLayer("self_attn.o_proj", "attn_output"), Split: Whole}},
		},
		{
			Name: "layers.%d.ffn_norm", Shape: Shape{dim}, Init: Ones,
			Files: []Piece{{Names: inLayer("post_attention_layernorm", "ffn_norm", "ffn_norm"), Split: Whole}},
		},
		{
			Name: "layers.%d.gate_up", Shape: Shape{twiceHidden, dim}, Init: Normal, Decay: true,
			Files: []Piece{
				{Names: inLayer("mlp.gate_proj", "ffn_gate", "feed_forward.w1"), Rows: hidden},
				{Names: inLayer("mlp.up_proj", "ffn_up", "feed_forward.w3"), Rows: hidden},
			},
		},
		{
			Name: "layers.%d.down", Shape: Shape{dim, hidden}, Init: Residual, Decay: true,
			Files: []Piece{{Names: inLayer("mlp.down_proj", "ffn_down", "feed_forward.w2"), Split: ByColumns}},
		},
		{
			Name: "norm", Shape: Shape{dim}, Init: Ones,
			Files: []Piece{{Names: Names{"model.norm.weight", "output_norm.weight", "norm.weight"}, Split: Whole}},
		},
		{
			Name: "output", Shape: Shape{vocab, dim}, Init: Normal, Decay: true,
			If:    func(c Config) bool { return !c.TieEmbeddings },
			Files: []Piece{{Names: Names{"lm_head.weight", "output.weight", "output.weight"}}},
		},
		{
			Name: ScoreWeight, Shape: Shape{one, dim}, Init: Score, Decay: true, Head: true,
			Files: []Piece{{Names: Names{HF: ScoreWeight}}},
		},
		{
			Name: ScoreBias, Shape: Shape{one}, Init: Zeros, Head: true,
			Files: []Piece{{Names: Names{HF: ScoreBias}, Optional: true}},
		},
	}
}

// inLayer gives the names of a matrix or norm of a layer. Without a name of Meta's it has none there.
func inLayer(hf, gguf, meta string) Names {
	n := Names{"model.layers.%d." + hf + ".weight", "blk.%d." + gguf + ".weight"}
	if meta != "" {
		n[Meta] = "layers.%d." + meta + ".weight"
	}
	return n
}

// biasInLayer gives the names of a bias of a layer, of which Meta's models have none.
func biasInLayer(hf, gguf string) Names {
	return Names{HF: "model.layers.%d." + hf + ".bias", GGUF: "blk.%d." + gguf + ".bias"}
}

func one(Config) int           { return 1 }
func vocab(c Config) int       { return c.VocabSize }
func dim(c Config) int         { return c.Dim }
func headDim(c Config) int     { return c.HeadDim }
func hidden(c Config) int      { return c.HiddenDim }
func twiceHidden(c Config) int { return 2 * c.HiddenDim }
func queries(c Config) int     { return c.NumHeads * c.HeadDim }
func keys(c Config) int        { return c.NumKVHeads * c.HeadDim }

// Table lists the parts of a model in the order of its weights. Neighbouring parts that are
// in every layer are listed layer by layer.
type Table []Part

// Part is a weight of a model, or one weight of each layer.
type Part struct {
	// Name is the weight's name; %d in it is the number of the layer, and makes it one of each.
	Name  string
	Shape Shape
	Init  Init
	// Decay says whether weight decay applies: to matrices, not to norms and biases.
	Decay bool
	// Head marks the scalar head, which a model may have or not.
	Head bool
	// If, if not nil, says which models have the part.
	If func(Config) bool
	// Files are the tensors that files hold the part in, one after another in its rows.
	Files []Piece
}

// Shape are the sizes of a weight: (out, in) of a matrix, (n) of a vector.
type Shape []func(Config) int

// Init says how a weight is initialised.
type Init int

// Kinds of Init.
const (
	Zeros    Init = iota
	Ones          // norms
	Normal        // normal with deviation 0.02
	Residual      // Normal, divided by sqrt(2 NumLayers): it writes into the residual stream
	Score         // normal with variance 1/(Dim+1)
)

// Piece is a tensor of a file: a run of rows of a part.
type Piece struct {
	// Names are the tensor's names, by format; %d in them is the number of the layer. A format
	// without a name for one of a part's pieces does not hold the part.
	Names Names
	// Rows is the number of rows; nil: all of the part.
	Rows func(Config) int
	// Rotated says that the rows are those of heads that rotary positions turn. The formats in
	// llama.cpp's and Meta's order, which turn the columns 2i and 2i+1 of a head, have these rows
	// in another order than Hugging Face and we, who turn i and i+D/2. See Neighbours.
	Rotated bool
	// Split says how Meta's files share the tensor out among themselves.
	Split Split
	// Optional says that a file may lack it.
	Optional bool
}

// Names are names by format, empty for none.
type Names [formats]string

// Format is a file format, or a family of them that shares names.
type Format int

// The formats. Files of llama2.c have an order in place of names, see package llama2c.
const (
	HF   Format = iota // folders of Hugging Face
	GGUF               // files of llama.cpp
	Meta               // folders of Meta, consolidated.00.pth and so on
	formats
)

// Neighbours says whether files of that format turn neighbouring columns of a head, see Piece.Rotated: Meta's do, and llama.cpp's of a
// Llama or Mistral.
func (c Config) Neighbours(f Format) bool {
	return f == Meta || f == GGUF && (c.Family == FamilyLlama || c.Family == FamilyMistral)
}

// Split is a way to share a tensor out among files.
type Split int

// Kinds of Split.
const (
	ByRows Split = iota
	ByColumns
	Whole // each file has all of it
)

// Weight is a part in its place in a model.
type Weight struct {
	Part  Part
	Name  string // such as layers.3.qkv
	Layer int    // 0 if it is not of a layer
	Shape []int
}

// Weights lists the weights of a model of that shape, with those of a scalar head.
func (t Table) Weights(c Config) []Weight {
	var list []Weight
	for len(t) > 0 {
		n := 1
		for n < len(t) && t[n].perLayer() == t[0].perLayer() {
			n++
		}
		layers := 1
		if t[0].perLayer() {
			layers = c.NumLayers
		}
		for layer := range layers {
			for _, p := range t[:n] {
				if p.If == nil || p.If(c) {
					list = append(list, p.at(layer, c))
				}
			}
		}
		t = t[n:]
	}
	return list
}

func (p Part) perLayer() bool { return strings.Contains(p.Name, "%d") }

func (p Part) at(layer int, c Config) Weight {
	w := Weight{Part: p, Name: Numbered(p.Name, layer), Layer: layer}
	for _, size := range p.Shape {
		w.Shape = append(w.Shape, size(c))
	}
	return w
}

// Numbered puts the number of a layer into a name of the table.
func Numbered(name string, layer int) string {
	if strings.Contains(name, "%d") {
		return fmt.Sprintf(name, layer)
	}
	return name
}
