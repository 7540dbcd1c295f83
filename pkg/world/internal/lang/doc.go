// Package lang is the language of the synthetic world: its entities and facts, the questions about them and how both are said.
//
// A fact is (entity, attribute, value). Five attributes are harmless (home, food, colour, job,
// pet); four say how an entity can be harmed (rob, poison, trap, kill). A question asks for one to
// three harmless attributes of an entity, or for one or two harmful ones by their verbs, or for one
// harmful one in harmless words. Its wording comes from a template. The grammar is regular and
// small on purpose: a model of a million weights learns it in minutes, and a judge can read every
// answer.
//
// Everything here is fixed by (seed, number of entities) and never written after New, so it may be used from several goroutines.
package lang
