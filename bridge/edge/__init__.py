"""Moves text between sockets and values, and performs what the call asks for; decides nothing about the call.

With `bridge.rehearsal` the only floor that awaits. Start at `driver.py`.
"""
