//! Plugins: components behind the contract in `wit/`.
