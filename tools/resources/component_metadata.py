"""What the component types in use read, and in which form.

Dapr takes no notice of metadata of another name, and of some of another form: pub/sub on Redis
reads `redeliverInterval: 5s` as 15 s. Source: components-contrib 1.18, common/component/redis and
secretstores/local/file; kit 1.18, config/decode.go; Dapr 1.18, pkg/scopes and pkg/runtime/pubsub.
"""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import NamedTuple


class Form(NamedTuple):
    """A form that a value is written in."""

    example: str
    pattern: str

    def takes(self, value: str) -> bool:
        return re.fullmatch(self.pattern, value) is not None


_GO_DURATION = r"[-+]?((\d+\.?\d*|\.\d+)(ns|us|µs|ms|s|m|h))+"

TEXT = Form("a text", r"(?s:.*)")
WHOLE = Form('a whole number such as "5"', r"-?\d{1,18}")
COUNT = Form('a whole number such as "5", not below 0', r"\d{1,18}")
BOOLEAN = Form('"true" or "false"', r"1|t|T|TRUE|true|True|0|f|F|FALSE|false|False")
MILLISECONDS = Form('a number of milliseconds such as "5000", without a unit', r"\d{1,18}")
DURATION = Form('a duration such as "5s", or milliseconds', rf"-?\d{{1,18}}|{_GO_DURATION}")
TOPICS = Form("topics such as a,b", r"[^=;]*")
SCOPES = Form(
    "apps with their topics, such as one=a,b;other=a",
    r"([^=;]+=[^=;]*(;[^=;]+=[^=;]*)*)?;?\s*",
)

# Dapr itself reads these, of every component of the kind.
OF_KIND: dict[str, dict[str, Form]] = {
    "pubsub": {
        "allowedTopics": TOPICS,
        "protectedTopics": TOPICS,
        "publishingScopes": SCOPES,
        "subscriptionScopes": SCOPES,
    },
    "state": {
        "keyPrefix": TEXT,
        "actorStateStore": BOOLEAN,
        "primaryEncryptionKey": TEXT,
        "secondaryEncryptionKey": TEXT,
        "outboxPublishPubsub": TEXT,
        "outboxPublishTopic": TEXT,
        "outboxPubsub": TEXT,
        "outboxDiscardWhenMissingState": BOOLEAN,
    },
}
_REDIS = {
    **dict.fromkeys(("redisHost", "redisPassword", "redisUsername", "redisType"), TEXT),
    **dict.fromkeys(("sentinelPassword", "sentinelUsername", "sentinelMasterName"), TEXT),
    **dict.fromkeys(("clientCert", "clientKey"), TEXT),
    **dict.fromkeys(("redisPort",), COUNT),
    **dict.fromkeys(("redisDB", "redisMaxRetries", "poolSize", "minIdleConns"), WHOLE),
    **dict.fromkeys(("redisMinRetryInterval", "redisMaxRetryInterval"), DURATION),
    **dict.fromkeys(("dialTimeout", "readTimeout", "writeTimeout", "poolTimeout"), DURATION),
    **dict.fromkeys(("maxConnAge", "idleTimeout", "idleCheckFrequency"), DURATION),
    **dict.fromkeys(("failover", "enableTLS", "insecureSkipTLSVerify", "useEntraID"), BOOLEAN),
}
OF_TYPE: dict[str, dict[str, Form]] = {
    "pubsub.redis": {
        **_REDIS,
        "consumerID": TEXT,
        "redeliverInterval": MILLISECONDS,
        "processingTimeout": DURATION,
        "queueDepth": COUNT,
        "concurrency": COUNT,
        "maxLenApprox": WHOLE,
        "streamTTL": DURATION,
    },
    "state.redis": {
        **_REDIS,
        "ttlInSeconds": WHOLE,
        "queryIndexes": TEXT,
        "maxRetries": WHOLE,
        "maxRetryBackoff": WHOLE,
    },
    "state.in-memory": {},
    "pubsub.in-memory": {},
    "secretstores.local.file": {
        "secretsFile": TEXT,
        "nestedSeparator": TEXT,
        "multiValued": BOOLEAN,
    },
    "secretstores.local.env": {"prefix": TEXT},
    "secretstores.kubernetes": {"defaultNamespace": TEXT, "kubeconfigPath": TEXT},
}


def forms(type: str) -> Mapping[str, Form] | None:
    """Return what a type reads, by name, or None of a type that is not known here."""
    if type not in OF_TYPE:
        return None
    return {**OF_KIND.get(type.partition(".")[0], {}), **OF_TYPE[type]}


def complaint(type: str, name: str, value: object) -> str | None:
    """Return what is wrong with a piece of metadata, or None.

    Args:
        value: as it is in YAML; None where it comes from a secret or the environment.
    """
    known = forms(type)
    if known is None:
        return None
    if name not in known:
        close = get_close_matches(name, known, 1)
        return f"{type} reads no {name}" + (f"; is it {close[0]}?" if close else "")
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if value is not None and not known[name].takes(text):
        return f'{type} reads {name} as {known[name].example}; it is "{text}"'
    return None
