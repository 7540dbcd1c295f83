package pipeline

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/run"
)

// A run whose settings have changed finds results of other settings. Without Config.KeepPreferences that is an error, which
// names them. With it, what annotators have said is kept, and the rest is removed and made again.

// changed decides about a stored result that was made in another way, which why says. keep says to use it as it is.
func (s *store) changed(name string, why error) (keep bool, err error) {
	switch {
	case !s.keepPreferences:
		return false, s.explain(name, why)
	case isPreferences(name):
		s.watch(Event{Step: name, Changed: fmt.Sprintf("%v: kept, because annotators made it", differences(why))})
		return true, nil
	}
	s.watch(Event{Step: name, Changed: fmt.Sprintf("%v: it is made again", differences(why))})
	remove := model.Remove
	if filepath.Ext(name) == ".arrow" {
		remove = os.Remove
	}
	return false, errors.Join(remove(s.path(name)), s.finish(name))
}

// begunAnew decides likewise about what a step that is not finished has kept.
func (s *store) begunAnew(name string, why error) error {
	if !s.keepPreferences {
		return s.explain(name, why)
	}
	if isPreferences(name) { // adopt has seen it
		return why
	}
	s.watch(Event{Step: name, Changed: fmt.Sprintf("%v: it begins again", differences(why))})
	return s.finish(name)
}

// differences is what a run.ErrOtherRun says, without the advice to delete.
func differences(why error) string {
	text, _, _ := strings.Cut(why.Error(), ": start with the same settings")
	return text
}

// isPreferences says of a result whether annotators have made it.
func isPreferences(name string) bool { return strings.HasPrefix(filepath.Base(name), "preferences-") }

// explain adds to an error what else has to be made again, and how preferences are kept.
func (s *store) explain(name string, why error) error {
	preferences, others, err := s.collected()
	if err != nil || preferences == 0 {
		return errors.Join(why, err)
	}
	affected, err := s.madeFrom(name, others)
	if err != nil {
		return errors.Join(why, err)
	}
	text := ""
	if len(affected) > 0 {
		text = "; made from it: " + strings.Join(affected, ", ")
	}
	return fmt.Errorf("%w%s; the folder has %d preferences of annotators: keep_preferences: true (Config.KeepPreferences) keeps them, and what else depends on the changes is made again", why, text, preferences)
}

// collected counts the preferences in the folder, those of unfinished collections too, and lists the results.
func (s *store) collected() (preferences int, results []string, err error) {
	err = filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(s.dir, path)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		switch kept := strings.HasPrefix(name, workDir+"/"); {
		case filepath.Ext(path) == ".arrow" && !d.IsDir():
			if isPreferences(name) || kept && isPreferences(filepath.Dir(name)) {
				rows, _, err := data.Read[SampledPreference](path)
				if err != nil {
					return err
				}
				preferences += len(rows)
			}
			if !kept {
				results = append(results, name)
			}
		case filepath.Base(path) == "lineage.json" && !kept && filepath.Dir(name) != ".":
			results = append(results, filepath.ToSlash(filepath.Dir(name)))
		}
		return nil
	})
	return preferences, results, err
}

// madeFrom lists the results that were made from one of them, directly or not.
func (s *store) madeFrom(name string, results []string) (affected []string, err error) {
	for todo := []string{name}; len(todo) > 0; todo = todo[1:] {
		mark, err := data.Fingerprint(s.ctx, s.path(todo[0]))
		if errors.Is(err, fs.ErrNotExist) { // has only begun
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, other := range results {
			l, err := data.ReadLineage(s.path(other))
			if err != nil {
				return nil, err
			}
			if slices.ContainsFunc(l.Inputs, func(in data.Input) bool { return in.Fingerprint == mark }) && !slices.Contains(affected, other) {
				affected, todo = append(affected, other), append(todo, other)
			}
		}
	}
	return affected, nil
}

// adopt takes the answered parts of a collection of preferences that was begun with other settings into this one, whose
// lineage then names both. Other prompts, or other shares of them, cannot be taken together.
func (s *store) adopt(name string, l data.Lineage) (data.Lineage, error) {
	stored, err := data.ReadLineage(s.work(name))
	if errors.Is(err, fs.ErrNotExist) || err == nil && stored.Stage == "" || !s.keepPreferences {
		return l, nil
	}
	if err != nil {
		return l, err
	}
	why := run.Check(s.work(name), run.Of(stored), run.Of(l))
	if why == nil {
		return l, nil
	}
	was, earlier := settingsOf(stored)
	now, _ := settingsOf(l)
	if earlier != nil && maps.EqualFunc(was, now, func(a, b json.RawMessage) bool { return bytes.Equal(a, b) }) && slices.Equal(stored.Inputs, l.Inputs) { // taken before
		return stored, nil
	}
	asked := func(l data.Lineage) data.Input { return l.Inputs[len(l.Inputs)-1] }
	for _, key := range []string{"version", "versions", "pairs"} {
		if !bytes.Equal(was[key], now[key]) || len(stored.Inputs) == 0 || asked(stored) != asked(l) {
			return l, fmt.Errorf("pipeline: %s: the prompts that annotators are asked about, or their shares, have changed; give its files to a new run as preferences of other people (Data.Open)", differences(why))
		}
	}
	s.watch(Event{Step: name, Changed: fmt.Sprintf("%v: the parts that are answered are kept", differences(why))})
	now["earlier"] = stored.Config
	if l.Config, err = json.Marshal(now); err != nil {
		return l, err
	}
	return l, data.WriteLineage(s.work(name), l)
}

// settingsOf are the settings of a collection of preferences by name, and those that adopt has added.
func settingsOf(l data.Lineage) (settings map[string]json.RawMessage, earlier json.RawMessage) {
	_ = json.Unmarshal(l.Config, &settings) // what is no object has none of them
	earlier = settings["earlier"]
	delete(settings, "earlier")
	return settings, earlier
}
