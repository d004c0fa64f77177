//! The shell: processes, sockets, time. It holds no decisions.
