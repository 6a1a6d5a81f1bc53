#!/usr/bin/env bash
#
# Fetches the weights that posecv may not ship, checks them and puts them where the scripts look.
# Needs bash 3.2 or newer, curl or wget, and one of sha256sum, shasum, md5sum, md5, openssl.

[ -n "${BASH_VERSION-}" ] || exec bash "$0" "$@"  # "sh getModels.sh" may be dash

set -uf              # -f: addresses may hold ? and *
set +o posix         # "sh" may be bash: then ulimit would count in other units
export LC_ALL=C      # reasons are read from wget's English messages

unset CDPATH         # an exported one would change where cd goes, and what it prints
script=${BASH_SOURCE[0]}
while [ -L "$script" ]; do  # called through a link: the models lie beside the script itself
    link=$(readlink "$script")
    case $link in /*) script=$link ;; *) script=$(dirname "$script")/$link ;; esac
done
home=$(cd "$(dirname "$script")" && pwd)
manifest=$home/models/MANIFEST.tsv
into=$home/models
timeout=${GETMODELS_TIMEOUT:-60}
tries=5              # a mirror that cuts off is asked again, this often, while it brings something new

usage() {
    cat <<'TEXT'
Usage: ./getModels.sh [--into DIR] [--manifest FILE] [NAME ... | --all | --list | --help]

Fetches the weights of the named models (coco where none is named), tries their mirrors in order, goes on with
a download that was cut off, checks the hash and only then names the file models/NAME/pose.caffemodel.
A file that you put there yourself, under that name or its original one, is taken where its hash is right.
What is there and right is not fetched again. No file of yours is ever deleted.

  NAME             a model of models/MANIFEST.tsv: coco, body_25, mpi, hand, face, ...
  --all            every model that has a public address (about 820 MB)
  --list           the models, and which of them are there; fetches nothing
  --into DIR       put the files into DIR/NAME/ instead, for instance --into "$POSECV_MODELS"
  --manifest FILE  read the models from FILE
  --help           this text

curl's own settings (~/.curlrc) are not read; a proxy is set with https_proxy=ADDRESS.
GETMODELS_TIMEOUT=SECONDS (60) is how long a mirror may take to answer, or be silent in the middle of a file.
Exit status: 0 all that was asked for is there, 1 something is missing, 2 wrong usage, 130 Ctrl-C.
TEXT
}

say() { printf '%s\n' "$*"; }
warn() { printf '%s\n' "$*" >&2; }
refuse() { warn "getModels.sh: $*"; exit 2; }
have() { command -v "$1" >/dev/null 2>&1; }
size_of() { if [ -f "$1" ]; then echo $(($(wc -c <"$1"))); else echo 0; fi; }
megabytes() { awk -v bytes="$1" 'BEGIN { printf (bytes < 1e5 ? "%.3f MB" : "%.1f MB"), bytes / 1e6 }'; }

# ---- The manifest: a table with tabs, its columns named in the first line, "-" for nothing

# rows COLUMN ...: these columns of every row, wherever they stand; "-" for a column that is not there.
rows() {
    awk -F '\t' -v wanted="$*" '
        { sub(/\r$/, "") }
        NR == 1 {
            sub(/^# */, "")
            for (i = 1; i <= NF; i++) at[$i] = i
            count = split(wanted, column, " ")
            next
        }
        /^#/ || !NF { next }
        {
            for (i = 1; i <= count; i++) {
                value = (column[i] in at) ? $at[column[i]] : "-"
                printf "%s%s", (value == "" ? "-" : value), (i < count ? "\t" : "\n")
            }
        }' "$manifest"
}

# name_of NAME: the manifest's own spelling of a name or alias; nothing where there is none.
name_of() {
    rows name aliases | awk -F '\t' -v asked="$1" '
        {
            count = split($1 " " $2, name, /[ ,;]+/)
            for (i = 1; i <= count; i++)
                if (name[i] != "-" && tolower(name[i]) == tolower(asked)) { print $1; exit }
        }'
}

# about NAME: sets name, folder, file, ... from the model's row, and what follows from them.
about() {
    IFS=$'\t' read -r name aliases folder file bytes md5 sha256 use licence mirrors <<<"$(
        rows name aliases weights file bytes md5 sha256 use licence mirrors | awk -F '\t' -v name="$1" '$1 == name'
    )"
    [ "$folder" = - ] && folder=$name
    [ "$mirrors" = - ] && mirrors=
    directory=$into/$folder
    target=$directory/pose.caffemodel
    original=$directory/$file
    part=$directory/.pose.caffemodel.part         # what has arrived; the next try goes on from it
    kept=$directory/.pose.caffemodel.kept.part    # the same, while a mirror that cannot resume starts anew
    if [ "$sha256" != - ] && { have sha256sum || have shasum || have openssl; }; then
        hash=SHA-256 expected=$sha256
    elif [ "$md5" != - ] && { have md5sum || have md5 || have openssl; }; then
        hash=MD5 expected=$md5
    else
        hash='' expected=''
    fi
}

terms() {
    case $use in
        any) say "any use ($licence)" ;;
        non-commercial) say "academic or non-commercial use only ($licence)" ;;
        *) say "$use use only ($licence)" ;;
    esac
}

# ---- Files: hashes, and taking the final name

hash_of() {
    case $hash in
        SHA-256)
            if have sha256sum; then sha256sum
            elif have shasum; then shasum -a 256
            else openssl dgst -sha256
            fi
            ;;
        MD5)
            if have md5sum; then md5sum
            elif have md5; then md5
            else openssl dgst -md5
            fi
            ;;
    esac <"$1" | sed 's/.*= *//; s/ .*//'
}

is_right() { [ -f "$1" ] && [ "$(hash_of "$1")" = "$expected" ]; }

# What a file with the wrong hash is, from its first bytes.
describe() {
    case $(head -c 200 "$1" | tr -d '\000' | tr '\n\t' '  ' | sed 's/^ *//') in
        '<'*) say 'a web page instead of the file' ;;
        'version https://git-lfs'*) say 'a Git LFS pointer instead of the file' ;;
        *) say "a wrong file ($(size_of "$1") bytes, $hash $(hash_of "$1"), expected $expected)" ;;
    esac
}

# give_name FILE: makes FILE the model's weights; another file of that name is kept beside it.
give_name() {
    local other=$directory/pose.other.caffemodel number=1
    if [ -e "$target" ] || [ -L "$target" ]; then
        while [ -e "$other" ] || [ -L "$other" ]; do
            number=$((number + 1))
            other=$directory/pose.other-$number.caffemodel
        done
        mv "$target" "$other" || return 1
        say "$name: your pose.caffemodel is kept as $other."
    fi
    mv "$1" "$target" && rm -f "$part" "$kept"
}

# A file put there by hand under its original name stays, and gets the second name that the scripts look for.
take_original() {
    [ "$file" != - ] && [ "$original" != "$target" ] && [ -f "$original" ] || return 1
    if ! is_right "$original"; then
        warn "$name: $original is not taken, it is $(describe "$original"). It is left as it is."
        return 1
    fi
    rm -f "$part"
    ln "$original" "$part" 2>/dev/null || cp "$original" "$part" || return 1
    give_name "$part" && say "$name: $original is taken, its $hash is right; it is $target now, too."
}

# ---- One run at a time in a folder: .getModels.lock/HOST.PROCESS, directories only, made and removed atomically

me=$(uname -n).$$
lock=

is_running() { kill -0 "$1" 2>/dev/null || ps -p "$1" >/dev/null 2>&1; }      # ps: for others' processes

take_lock() {
    local held=$directory/.getModels.lock owner told='' misses=0 stale=''
    until mkdir "$held" 2>/dev/null && mkdir "$held/$me" 2>/dev/null; do
        owner=$(ls "$held" 2>/dev/null)
        if [ ! -d "$held" ]; then
            misses=$((misses + 1))
            if [ "$misses" -gt 3 ]; then
                warn "$name: cannot write into $directory."
                return 1
            fi
        elif [ -z "$owner" ]; then       # between two steps of another run, or of one that was killed there
            sleep 1
            rmdir "$held" 2>/dev/null
        elif [ "${owner%.*}" != "${me%.*}" ]; then
            warn "$name: a run on ${owner%.*} is fetching it. If that is not so: rmdir '$held/$owner' '$held'"
            return 1
        elif [ "$owner" != "$me" ] && is_running "${owner##*.}"; then
            if [ -z "$told" ]; then
                told=yes
                say "$name: process ${owner##*.} is fetching it, waiting." \
                    "If that is not so: rmdir '$held/$owner' '$held'"
            fi
            sleep 1
        elif rmdir "$held/$owner" 2>/dev/null; then
            rmdir "$held"
            say "$name: removed the stale lock of process ${owner##*.}, which has ended."
            stale=yes
        else                             # another run was faster, or the lock belongs to another user
            misses=$((misses + 1))
            if [ "$misses" -gt 3 ]; then
                warn "$name: cannot remove the stale lock $held."
                return 1
            fi
            sleep 1
        fi
    done
    lock=$held
    # A downloader may have outlived its run: let it write on into a file that has no name any more.
    if [ -n "$stale" ] && [ -f "$part" ]; then cp "$part" "$kept" && mv "$kept" "$part"; fi
}

release_lock() {
    [ -n "$lock" ] && rmdir "$lock/$me" "$lock" 2>/dev/null
    lock=
}

# ---- Transfers: one address into $part, going on where it ends.
# They set outcome: whole, cut (may be asked again), stale (cannot go on from $part), failed, full; and reason.

child=

# In the background, so that a signal is answered at once and not when the download ends.
await() {
    child=$!
    wait "$child"
    status=$?
    child=
}

# The listed size, in the 1024 bytes that ulimit counts in, and one more; 4 GB where none is listed.
most_blocks() { if [ "$bytes" = - ]; then echo 4194304; else echo $((bytes / 1024 + 2)); fi; }

# limited PROGRAM ...: it cannot write more than the file needs, for a mirror may never end. Only for the background.
limited() { trap '' XFSZ; ulimit -f "$(most_blocks)" 2>/dev/null; exec "$@"; }

transfer_curl() {
    local bar=--silent
    [ -t 2 ] && bar=--progress-bar
    limited curl --disable --location --fail --globoff "$bar" --connect-timeout "$timeout" --speed-limit 1 --speed-time "$timeout" \
        --continue-at - --output "$part" --write-out '%{http_code}' "$1" >"$scratch/code" &
    await
    outcome=failed
    case $status in
        0) outcome=whole ;;
        22) answered "$(cat "$scratch/code")" ;;
        33) outcome=stale reason='it cannot resume' ;;
        16 | 18 | 52 | 55 | 56 | 92) outcome=cut reason='cut off' ;;
        28) outcome=cut reason="timeout, silent for $timeout s" ;;
        23) outcome=full ;;
        5 | 6) reason='host not found' ;;
        7) reason='no connection' ;;
        35 | 51 | 53 | 54 | 58 | 59 | 60 | 77 | 80 | 83) reason="no secure connection (curl's exit status $status)" ;;
        47) reason='too many redirects' ;;
        *) reason="curl's exit status $status" ;;
    esac
}

# Reads the log as well as the exit status: BusyBox has but one for everything, and Wget2 is content with a part.
transfer_wget() {
    local log=$scratch/log code
    if [ -t 2 ] && wget --help 2>&1 | grep -q -e --show-progress; then
        limited wget -c -S -t 1 -T "$timeout" -O "$part" -o "$log" --show-progress "$1" >/dev/null &
    else
        limited wget -c -S -t 1 -T "$timeout" -O "$part" "$1" >"$log" 2>&1 &
    fi
    await
    code=$(sed -n 's/.*HTTP\/[0-9.]* \([0-9][0-9][0-9]\).*/\1/p' "$log" | tail -n 1)
    outcome=failed
    if [ "${code:-0}" -ge 400 ]; then answered "$code"
    elif grep -q -e 'Just got' -e 'closed prematurely' "$log"; then outcome=cut reason='cut off'
    elif [ "$status" -eq 0 ] && [ -s "$part" ]; then outcome=whole
    elif [ "$status" -eq 3 ]; then outcome=full
    elif [ "$status" -eq 5 ]; then reason='no secure connection'
    elif grep -q 'timed out' "$log"; then outcome=cut reason="timeout, silent for $timeout s"
    elif grep -q -e 'redirections exceeded' -e 'too many redirections' "$log"; then reason='too many redirects'
    elif grep -q -e 'unable to resolve' -e 'bad address' "$log"; then reason='host not found'
    elif grep -q 'refused' "$log"; then reason='no connection'
    elif [ "$status" -eq 8 ]; then outcome=stale reason='it cannot resume'
    elif [ -s "$part" ]; then outcome=cut reason='cut off'
    else reason="it sent nothing (wget's exit status $status)"
    fi
}

# answered CODE: what an HTTP status other than success means.
answered() {
    case $1 in
        401 | 403) reason="forbidden (HTTP $1)" ;;
        404 | 410) reason="not there (HTTP $1)" ;;
        416) outcome=stale reason='it has no more bytes than are here'; rm -f "$part" ;;
        *) reason="HTTP $1" ;;
    esac
}

# fetch_from ADDRESS: fetches into $part, resuming, until its hash is right; else says why not.
fetch_from() {
    local count=0 anew='' longest before after
    longest=$(size_of "$part")
    while :; do
        count=$((count + 1))
        before=$(size_of "$part")
        [ "$before" -gt 0 ] && say "$name: going on after $(megabytes "$before")."
        "transfer_$tool" "$1"
        after=$(size_of "$part")
        if [ "$bytes" != - ] && [ "$after" -gt "$bytes" ]; then
            shorten "$part"
            outcome=whole after=$bytes
        fi
        if [ "$outcome" = whole ]; then
            is_right "$part" && return 0
            reason=$(describe "$part")
            if [ "$bytes" != - ] && [ "$after" -lt "$bytes" ] && [ "$after" -gt "$before" ] &&
                [ "${reason#a wrong}" != "$reason" ]; then
                outcome=cut reason='cut off'         # by a mirror that does not tell how long the file is
            elif [ "$before" -eq 0 ]; then
                rm -f "$part"
            else
                outcome=stale
                if [ "$after" -gt "$before" ]; then
                    reason="what was resumed has the wrong $hash"
                    rm -f "$part"
                fi
            fi
        fi
        case $outcome in
            stale)
                [ -z "$anew" ] || break
                anew=yes
                say "$name: $reason; starting anew."
                [ -f "$part" ] && mv "$part" "$kept"
                ;;
            cut)
                [ "$after" -gt 0 ] && reason="$reason after $(megabytes "$after")"
                [ "$after" -gt "$longest" ] && [ "$count" -lt "$tries" ] || break
                longest=$after
                say "$name: $reason."
                ;;
            *) break ;;
        esac
    done
    keep_longer
    [ "$outcome" = full ] && reason="cannot write $part (is the disk full?)"
    warn "$name: $1 failed: $reason."
    return 1
}

# shorten FILE: cuts off what stands behind the listed size.
shorten() { head -c "$bytes" "$1" >"$1.short" && mv "$1.short" "$1"; }

# Of two halves the longer one is gone on with.
keep_longer() {
    if [ -f "$kept" ]; then
        if [ "$(size_of "$kept")" -gt "$(size_of "$part")" ]; then mv "$kept" "$part"; else rm -f "$kept"; fi
    fi
    [ -s "$part" ] || rm -f "$part"
}

# ---- A model

by_hand() {
    local address
    warn "$name is missing. By hand:"
    if [ -n "$mirrors" ]; then
        warn "  1. get $file from one of these addresses, or from an OpenPose installation:"
        for address in $mirrors; do warn "       $address"; done
    else
        warn "  1. get the file from its authors; no public address is known"
    fi
    warn "  2. put it there:  $target"
    warn "  3. run again:     ./getModels.sh $name"
    [ "$md5" = - ] || warn "  Its MD5 is       $md5"
    [ "$sha256" = - ] || warn "  Its SHA-256 is   $sha256"
}

is_there() { is_right "$target" && say "$name: $target is there, its $hash is right."; }

fetch_from_mirrors() {
    local address
    if [ -z "$mirrors" ]; then return 1; fi
    if [ -z "$tool" ]; then
        warn "$name: neither curl nor wget is here to fetch it with; install one of them."
        return 1
    fi
    say "$name: $file$([ "$bytes" = - ] || say ", $(megabytes "$bytes")"), for $(terms)."
    keep_longer
    if ! is_right "$part"; then     # else it was whole when an earlier run was ended
        outcome=failed
        for address in $mirrors; do
            say "$name: fetching $address"
            fetch_from "$address" && break
            [ "$outcome" != full ] || return 1
        done
    fi
    is_right "$part" && give_name "$part" && say "$name: $target is here, its $hash is right."
}

# fetch NAME: succeeds where the model's weights are there in the end.
fetch() {
    about "$1"
    if [ -z "$hash" ]; then
        warn "$name: its hash cannot be checked;" \
            "sha256sum, shasum, md5sum, md5 or openssl is needed, and a hash in the manifest."
        return 1
    fi
    is_there && return 0
    if [ -n "$mirrors" ] && ! mkdir -p "$directory" 2>/dev/null; then
        warn "$name: cannot make the folder $directory."
        return 1
    fi
    if [ -d "$directory" ]; then
        take_lock || return 1
        is_there || {
            [ -f "$target" ] && warn "$name: $target is $(describe "$target"). It is kept."
            take_original
        } || fetch_from_mirrors
        release_lock
    fi
    [ -f "$target" ] && is_right "$target" && return 0
    by_hand
    return 1
}

list() {
    local each state amount
    printf '%-27s %-14s %9s  %s\n' NAME STATE SIZE USE
    while read -r each; do
        about "$each"
        if [ -f "$target" ]; then state=there
        elif [ -z "$mirrors" ]; then state='no address'
        elif [ -f "$part" ]; then state=partly
        else state=missing
        fi
        amount=-
        [ "$bytes" = - ] || amount=$(megabytes "$bytes")
        [ "$aliases" = - ] || each="$each, $aliases"
        [ "$folder" = "$name" ] || state="$state ($folder)"
        printf '%-27s %-14s %9s  %s\n' "$each" "$state" "$amount" "$(terms)"
    done <<<"$(rows name)"
}

# ---- The run

leave() {
    trap - INT TERM HUP
    if [ -n "$child" ]; then
        kill "$child" 2>/dev/null
        wait "$child" 2>/dev/null
        [ -t 2 ] && warn ''      # below the progress bar
    fi
    warn "getModels.sh: interrupted; what has arrived is kept, the next run goes on from there."
    exit "$1"
}

clean() {
    release_lock
    [ -z "$scratch" ] || rm -rf "$scratch"
}

asked='' everything='' listing='' scratch=''
while [ $# -gt 0 ]; do
    case $1 in
        --all) everything=yes ;;
        --list) listing=yes ;;
        --into | --manifest)
            [ $# -gt 1 ] && [ -n "$2" ] || refuse "$1 needs a value; --help shows how it is used."
            if [ "$1" = --into ]; then into=$2; else manifest=$2; fi
            shift
            ;;
        -h | --help) usage; exit 0 ;;
        '' | -*) refuse "there is no option '$1'; --help shows which there are." ;;
        *) asked="$asked $1" ;;
    esac
    shift
done
case $into in /* | [A-Za-z]:*) ;; *) into=$PWD/$into ;; esac
case $timeout in '' | *[!0-9]* | 0) refuse "GETMODELS_TIMEOUT is '$timeout', it should be a number of seconds." ;; esac
[ -r "$manifest" ] || refuse "cannot read the list of models, $manifest."
known=$(rows name | tr '\n' ' ')
case $known in '' | -*) refuse "$manifest is no list of models." ;; esac
if [ -n "$listing" ]; then list; exit 0; fi
[ -n "$asked$everything" ] || asked=coco

wanted=' '       # each file once: models that share one name its folder
for each in $asked; do
    found=$(name_of "$each")
    [ -n "$found" ] || refuse "there is no model $each; there are: $known"
    about "$found"
    if [ "$folder" != "$name" ] && [ -n "$(name_of "$folder")" ]; then
        say "$name uses the file of $folder."
        found=$folder
    fi
    case $wanted in *" $found "*) ;; *) wanted="$wanted$found " ;; esac
done
if [ -n "$everything" ]; then
    for each in $known; do
        about "$each"
        [ "$folder" = "$name" ] && [ -n "$mirrors" ] || continue
        case $wanted in *" $each "*) ;; *) wanted="$wanted$each " ;; esac
    done
fi

tool=''
if have curl; then tool=curl; elif have wget; then tool=wget; fi
trap clean EXIT
trap 'leave 130' INT
trap 'leave 143' TERM
trap 'leave 129' HUP
scratch=$(mktemp -d "${TMPDIR:-/tmp}/getModels.XXXXXX") || refuse "cannot make a temporary folder."

missing=''
for each in $wanted; do
    fetch "$each" || missing="$missing $each"
done
if [ -n "$missing" ]; then
    warn "Missing:$missing."
    exit 1
fi
