"""seqloom: small recurrent text models that learn many tasks together."""
