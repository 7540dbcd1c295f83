// Package ppo is the reinforcement learning of Llama 2 (section 3.2.3): proximal policy optimisation against reward models.
package ppo
