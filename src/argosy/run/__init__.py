"""Run: starts work on engines, keeps it alive, and moves it when its place fails.

`decide` says what follows from what was seen, without touching anything; `drivers` touch the engines. `control` joins
them with the store and with `place`.
"""
