package pth

// The instructions of Python's pickle that torch uses for tensors.
const (
	opMark       = '('
	opStop       = '.'
	opBinInt     = 'J'
	opBinInt1    = 'K'
	opBinInt2    = 'M'
	opLong1      = 0x8a
	opBinFloat   = 'G'
	opNone       = 'N'
	opNewTrue    = 0x88
	opNewFalse   = 0x89
	opBinUnicode = 'X'
	opEmptyDict  = '}'
	opEmptyList  = ']'
	opEmptyTuple = ')'
	opTuple      = 't'
	opTuple1     = 0x85
	opTuple2     = 0x86
	opTuple3     = 0x87
	opSetItem    = 's'
	opSetItems   = 'u'
	opAppend     = 'a'
	opAppends    = 'e'
	opBinPut     = 'q'
	opLongBinPut = 'r'
	opBinGet     = 'h'
	opLongBinGet = 'j'
	opGlobal     = 'c'
	opReduce     = 'R'
	opBuild      = 'b'
	opBinPersID  = 'Q'
	opProto      = 0x80
)

// The names that a pickle may use.
const (
	orderedDict = "collections.OrderedDict"
	rebuild     = "torch._utils._rebuild_tensor_v2"
	parameter   = "torch._utils._rebuild_parameter"
)

// storages are the names of torch's storages with the type of their numbers.
var storages = map[string]string{"torch.FloatStorage": "F32", "torch.HalfStorage": "F16", "torch.BFloat16Storage": "BF16"}

// What the stack of the unpickler holds, besides nil, bool, int64, float64 and string.
type (
	tuple  []any
	list   struct{}               // lists occur in what is not looked at
	dict   struct{ items []item } // in the order of the file
	item   struct{ key, value any }
	global string // a name out of the table above

	storage struct {
		dtype string
		key   string // data/KEY in the archive
		elems int64
	}
)
