package pth

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// What is read in front of the tensors' numbers, in bytes: the directory of the archive, and the description of the tensors. Those of
// Llama 2 70B have about 100 KiB each. A byte of a pickle may take 40 in memory.
const (
	maxDirectory = 16 << 20
	maxPickle    = 512 << 10
)

// File is an open file of tensors.
type File struct {
	// Tensors are in the order of the file.
	Tensors []Tensor

	path    string
	r       io.ReaderAt
	size    int64
	close   func() error
	entries map[string]*zip.File
	prefix  string // of the names in the archive
	byName  map[string]Tensor
}

// Open reads the description of the tensors of a file.
func Open(path string) (*File, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("pth: %w", err)
	}
	stat, err := file.Stat()
	if err == nil {
		var f *File
		if f, err = read(file, stat.Size()); err == nil {
			f.path, f.close = path, file.Close
			return f, nil
		}
	}
	return nil, errors.Join(fmt.Errorf("pth: %s: %w", path, err), file.Close())
}

// Close releases the file.
func (f *File) Close() error { return f.close() }

// Path is the name it was opened by.
func (f *File) Path() string { return f.path }

// Tensor is the one of that name.
func (f *File) Tensor(name string) (Tensor, bool) {
	t, ok := f.byName[name]
	return t, ok
}

// read reads the directory of the archive and the pickle.
func read(r io.ReaderAt, size int64) (*File, error) {
	directory := &directoryReader{ReaderAt: r, left: maxDirectory}
	archive, err := zip.NewReader(directory, size)
	directory.known = true
	if directory.left < 0 {
		return nil, fmt.Errorf("the directory of the archive has more than %d bytes, which is the limit", maxDirectory)
	}
	if err != nil {
		return nil, fmt.Errorf("not a zip archive, as torch.save has written it since version 1.6, or cut short: %w", err)
	}
	f := &File{r: r, size: size, entries: make(map[string]*zip.File), byName: make(map[string]Tensor)}
	var pickle *zip.File
	for _, e := range archive.File {
		if f.entries[e.Name] != nil {
			return nil, fmt.Errorf("%q is in the archive twice", e.Name)
		}
		f.entries[e.Name] = e
		if prefix, ok := strings.CutSuffix(e.Name, "/data.pkl"); ok && !strings.Contains(prefix, "/") {
			if pickle != nil {
				return nil, fmt.Errorf("%q and %q are in the archive, want one", pickle.Name, e.Name)
			}
			pickle, f.prefix = e, prefix
		}
	}
	if pickle == nil {
		return nil, errors.New("a zip archive without a data.pkl: not a file of torch.save")
	}
	if err := f.checkByteOrder(); err != nil {
		return nil, err
	}
	raw, err := f.small(pickle, maxPickle)
	if err != nil {
		return nil, err
	}
	d, err := unpickle(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", pickle.Name, err)
	}
	return f, f.collect(d)
}

// directoryReader fails after so many bytes, until the directory is known.
type directoryReader struct {
	io.ReaderAt
	left  int64
	known bool
}

func (d *directoryReader) ReadAt(p []byte, at int64) (int, error) {
	if !d.known {
		if d.left -= int64(len(p)); d.left < 0 {
			return 0, errors.New("the directory is too long")
		}
	}
	return d.ReaderAt.ReadAt(p, at)
}

// checkByteOrder refuses big endian numbers. Older files do not say.
func (f *File) checkByteOrder() error {
	e := f.entries[f.prefix+"/byteorder"]
	if e == nil {
		return nil
	}
	raw, err := f.small(e, 16)
	if err == nil && string(raw) != "little" {
		err = fmt.Errorf("the byte order is %q, only little is read", raw)
	}
	return err
}

// small reads a whole entry of the archive.
func (f *File) small(e *zip.File, most uint64) ([]byte, error) {
	if _, err := f.place(e); err != nil {
		return nil, err
	}
	if e.UncompressedSize64 > most {
		return nil, fmt.Errorf("%s has %d bytes, want at most %d", e.Name, e.UncompressedSize64, most)
	}
	r, err := e.Open()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e.Name, err)
	}
	raw, err := io.ReadAll(r) // checks the checksum too
	if err = errors.Join(err, r.Close()); err != nil {
		return nil, fmt.Errorf("%s: %w", e.Name, err)
	}
	return raw, nil
}

// place checks that an entry is stored as it is and lies in the file, and gives where it begins.
func (f *File) place(e *zip.File) (int64, error) {
	if e.Method != zip.Store || e.CompressedSize64 != e.UncompressedSize64 {
		return 0, fmt.Errorf("%s is compressed, torch.save does not do that", e.Name)
	}
	begin, err := e.DataOffset()
	if err != nil {
		return 0, fmt.Errorf("%s: %w", e.Name, err)
	}
	if begin > f.size || e.UncompressedSize64 > uint64(f.size-begin) {
		return 0, fmt.Errorf("%s: %d bytes from byte %d on, the file has %d: it is cut short or damaged", e.Name, e.UncompressedSize64, begin, f.size)
	}
	return begin, nil
}

// collect takes the tensors out of the dictionary and looks for their numbers.
func (f *File) collect(d *dict) error {
	for i, it := range d.items {
		name, ok := it.key.(string)
		if !ok {
			return fmt.Errorf("key %d is a %s, want the name of a tensor", i, describe(it.key))
		}
		t, ok := it.value.(*Tensor)
		if !ok {
			return fmt.Errorf("%q is a %s, want a tensor: only dictionaries of tensors are read, not whole training states", name, describe(it.value))
		}
		if _, dup := f.byName[name]; dup {
			return fmt.Errorf("tensor %q is there twice", name)
		}
		e := f.entries[f.prefix+"/data/"+t.storage.key]
		if e == nil {
			return fmt.Errorf("tensor %q: its numbers, data/%s, are not in the archive", name, t.storage.key)
		}
		if _, err := f.place(e); err != nil {
			return fmt.Errorf("tensor %q: %w", name, err)
		}
		size := uint64(dtypeBytes(t.DType))
		if t.storage.elems > int64(e.UncompressedSize64/size) || uint64(t.storage.elems)*size != e.UncompressedSize64 {
			return fmt.Errorf("tensor %q: %s has %d bytes, want %d numbers of %s: the file is damaged", name, e.Name, e.UncompressedSize64, t.storage.elems, t.DType)
		}
		named := *t
		named.Name = name
		f.byName[name] = named
		f.Tensors = append(f.Tensors, named)
	}
	return nil
}

// Reader gives the bytes of a tensor's numbers, little endian, row by row. If they are all of a storage, its checksum is compared, and
// Close tells whether it is right; so Close must come after all bytes are read.
func (f *File) Reader(t Tensor) (io.ReadCloser, error) {
	e := f.entries[f.prefix+"/data/"+t.storage.key]
	if e == nil {
		return nil, fmt.Errorf("pth: %s: tensor %q is not of this file", f.path, t.Name)
	}
	if t.elems == t.storage.elems {
		r, err := e.Open()
		if err != nil {
			return nil, fmt.Errorf("pth: %s: tensor %q: %w", f.path, t.Name, err)
		}
		return &checked{ReadCloser: r, what: fmt.Sprintf("pth: %s: tensor %q", f.path, t.Name)}, nil
	}
	begin, err := f.place(e)
	if err != nil {
		return nil, fmt.Errorf("pth: %s: tensor %q: %w", f.path, t.Name, err)
	}
	size := dtypeBytes(t.DType)
	return io.NopCloser(io.NewSectionReader(f.r, begin+t.offset*size, t.elems*size)), nil
}

// checked is a reader of a whole entry. Its end must be seen for the checksum to be compared.
type checked struct {
	io.ReadCloser
	what string
}

func (c *checked) Close() error {
	_, err := c.Read(make([]byte, 1))
	switch {
	case errors.Is(err, io.EOF):
		err = nil
	case errors.Is(err, zip.ErrChecksum):
		err = fmt.Errorf("%s: the checksum is wrong: the file is damaged, or was written without checksums (torch.serialization.set_crc32_options)", c.what)
	case err == nil:
		err = fmt.Errorf("%s: not all of it was read", c.what)
	}
	return errors.Join(err, c.ReadCloser.Close())
}
