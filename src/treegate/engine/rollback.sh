#!/bin/sh
# Undoes one ended run of treegate without treegate:  sh .treegate/vault/RUN/rollback.sh
#
# Everything is looked at first; if anything is not as the run left it, nothing is done. Nothing is deleted or
# replaced: what the run made goes to undone/ beside this script. Interrupted, it goes on when it is run again.
# Needs a POSIX shell, mv, mkdir, rm, rmdir, sync, date, tr, chmod, touch, and stat -c or ls.
#
# rollback.data has an act a line, its fields parted by tabs, paths with odd bytes as \0ooo, in this order:
#   treegate-rollback FORMAT RUN
#   c PATH - KIND INODE SIZE     is there         (the folders that others are moved from and to)
#   x PATH -                     is free          (the places to come back to)
#   s PATH - KIND INODE SIZE MODE MODE TIME TIME  1: mode and time, from what the run set to what was before
#   d FROM TO KIND INODE SIZE    2: moved straight back
#   m FROM TO KIND INODE SIZE    3: made by the run: set aside, into undone/
#   l FROM TO KIND INODE SIZE    3: lifted out of the way, into undone/
#   p FROM TO KIND INODE SIZE    4: put back, from undone/
#   v FROM TO KIND INODE SIZE    4: put back, from the vault
#   end
# phase.N beside it says that everything before phase N was done, durably.
set -u
LC_ALL=C
export LC_ALL
unset CDPATH
tab=$(printf '\t')
newline='
'

say() { printf 'rollback: %s\n' "$*"; }
fail() {
    say "$*" >&2
    exit 1
}
there() { [ -e "$1" ] || [ -L "$1" ]; }

case $0 in */*) cd -- "${0%/*}/" || exit 1 ;; esac
[ -f rollback.data ] || fail "there is no rollback.data here: run it as  sh .treegate/vault/RUN/rollback.sh"
IFS=$tab read -r word format run <rollback.data
[ "$word $format" = "treegate-rollback 1" ] || fail "rollback.data is damaged: nothing was done"
cd -P ../../.. || exit 1
vault=./.treegate/vault/$run
data=$vault/rollback.data
[ -f "$data" ] || fail "this folder is not the vault of $run any more: nothing was done"
if [ -e "$vault/rolled-back" ]; then
    say "$run was rolled back already, $(cat "$vault/rolled-back")"
    exit 0
fi
[ ! -e "./.treegate/runs/$run" ] || fail "$run is unfinished: end it first (treegate recover); nothing was done"
phase=0
for number in 1 2 3 4; do
    [ ! -e "$vault/phase.$number" ] || phase=$number
done

# Sets src and dst from their written forms. No path holds "//", which also keeps a newline at a path's end.
decode() {
    src=$1 dst=$2
    case $1$2 in
    *\\*)
        both=$(printf '%b//%b//' "$1" "$2")
        src=${both%%//*} both=${both#*//}
        dst=${both%//}
        ;;
    esac
}

stat=no
[ -z "$(stat -c '%a %Y %i %s' . 2>/dev/null)" ] || stat=yes

# Prints a line of numbers for each path; "%a %Y" only where there is a stat.
numbers() {
    form=$1
    shift
    if [ $stat = yes ]; then
        stat -c "$form" "$@" 2>/dev/null
        return
    fi
    for each; do
        ls -din "$each" 2>/dev/null | {
            read -r inode _ _ _ _ size _
            case $form in
            %i) printf '%s\n' "$inode" ;;
            %s) printf '%s\n' "$size" ;;
            '%i %s') printf '%s\n' "$inode $size" ;;
            esac
        }
    done
}

# ---- First: is everything as the run left it?

wrong=0
report() {
    printf '  %s %s\n' "$1" "$2" >&2
    wrong=$((wrong + 1))
}

is() {
    case $2 in
    l) [ -L "$1" ] ;;
    d) [ -d "$1" ] && [ ! -L "$1" ] ;;
    f) [ -f "$1" ] && [ ! -L "$1" ] ;;
    *) [ -e "$1" ] && [ ! -L "$1" ] ;;
    esac
}

# Compares the numbers of many paths with one call; only if they differ is a call for each worth it.
compare() {
    [ $# -gt 0 ] || return
    [ "$(numbers "$asked" "$@")$newline" != "$wanted" ] || return
    for each; do
        [ "$(numbers "$asked" "$each")" = "${wanted%%"$newline"*}" ] ||
            report "${shown%%"$newline"*}" "is another one now, or was changed"
        wanted=${wanted#*"$newline"} shown=${shown#*"$newline"}
    done
}

# Where the entry of an act is to be found now: sets `at` and `name`, empty if nowhere yet.
locate() {
    at=$src name=$a
    case $type in
    c | x) [ $phase -eq 0 ] || at= ;;
    s) [ $phase -le 1 ] || at= ;;
    d) moving 2 ;;
    l | m) moving 3 ;;
    p | v) moving 4 ;;
    *) at= ;;
    esac
}

moving() {
    if [ $phase -gt "$1" ] || { [ $type = p ] && [ $phase -lt 4 ]; }; then
        at=
    elif there "$src" || [ $phase -lt "$1" ]; then
        [ $type = v ] && [ $phase -lt 4 ] || ! there "$dst" || report "$b" "is in the way"
    else
        at=$dst name=$b
    fi
}

check() {
    set --
    ended=no asked= wanted= shown=
    while IFS=$tab read -r type a b kind inode size _ <&3; do
        [ "$type" != end ] || ended=yes
        decode "$a" "$b"
        locate
        [ -n "$at" ] || continue
        if [ "$type" = x ]; then
            ! there "$at" || report "$name" "is in the way"
            continue
        fi
        if ! is "$at" "$kind"; then
            report "$name" "is not there any more"
            continue
        fi
        case $inode,$size in
        -,-) continue ;;
        -,*) form=%s facts=$size ;;
        *,-) form=%i facts=$inode ;;
        *) form='%i %s' facts="$inode $size" ;;
        esac
        if [ "$form" != "$asked" ] || [ $# -ge 100 ]; then
            compare "$@"
            set --
            asked=$form wanted= shown=
        fi
        set -- "$@" "$at"
        wanted=$wanted$facts$newline shown=$shown$name$newline
    done 3<"$data"
    compare "$@"
    [ $ended = yes ] || fail "rollback.data is cut off: nothing was done"
}

say "looking at what $run left"
[ $phase -eq 0 ] || say "it was begun before, and goes on with its phase $phase of 4"
check
[ $wrong -eq 0 ] || fail "$wrong of the paths above are not as they must be: nothing was done"

# ---- Then: take it back.

stop() {
    say "stopped at $1: $2" >&2
    fail "put that right and run this again: it goes on from here"
}

# What is done must be on the disk before the note that says so, and that before anything that relies on it.
enter() {
    sync
    printf '' >"$vault/phase.$1" || stop "phase.$1" "it cannot be written"
    sync
    phase=$1
}

moved=0 made=0 set=0 kept=0 coarse=no
carry() {
    if there "$src"; then
        ! there "$dst" || stop "$b" "something is in the way"
        $mv "$src" "$dst" </dev/null || stop "$a" "it could not be moved"
        ! there "$src" || stop "$a" "it could not be moved"
    fi
    there "$dst" || stop "$a" "it is not there"
}

# Moves many that keep their names into one folder with one call; some may be there already.
together() {
    [ $# -gt 0 ] || return
    moved=$((moved + $#))
    for each; do
        shift
        if there "$each"; then
            ! there "$into/${each##*/}" || stop "$(plain "$into/${each##*/}")" "something is in the way"
            set -- "$@" "$each"
        fi
    done
    [ $# -gt 0 ] || return
    mv -n -t "$into" "$@" </dev/null
    for each; do
        { ! there "$each" && there "$into/${each##*/}"; } || stop "$(plain "$each")" "it could not be moved"
    done
}

plain() { printf %s "$1" | tr -c ' -~' '?'; }

# Puts mode and time back where they are still what the run made them: MODE BEFORE TIME BEFORE.
reset() {
    now=$(numbers '%a %Y' "$src")
    if [ "$1" != - ]; then
        case ${now%% *} in
        "" | "$1") chmod "$2" "$src" || stop "$a" "its mode could not be set" ;;
        "${2#0}" | "${2#00}" | "${2#000}" | "${2#0000}") ;;
        *) kept=$((kept + 1)) ;;
        esac
    fi
    if [ "$3" != - ]; then
        case ${now#* } in
        "" | "${3%.*}") touch_back "$4" ;;
        "${4%.*}") ;;
        *) kept=$((kept + 1)) ;;
        esac
    fi
}

touch_back() {
    touch -c -h -m -d "@$1" "$src" 2>/dev/null && return
    touch -c -h -m -d "@${1%.*}" "$src" || stop "$a" "its time could not be set"
    coarse=yes
}

act() {
    set --
    into=
    while IFS=$tab read -r type a b kind inode size mode mode_before time time_before <&3; do
        case $type in
        s) own=1 ;;
        d) own=2 ;;
        l | m) own=3 ;;
        p | v) own=4 ;;
        *) continue ;;
        esac
        [ $own -ge $phase ] || continue
        decode "$a" "$b"
        if [ "$own" != 2 ] || [ "$into" != "${dst%/*}" ] || [ $# -ge 100 ]; then
            together "$@"
            set --
            into=${dst%/*}
        fi
        [ $own -eq $phase ] || enter $own
        if [ $batch = yes ] && [ "$type" = d ] && [ "${src##*/}" = "${dst##*/}" ]; then
            set -- "$@" "$src"
            continue
        fi
        case $type in
        s) reset "$mode" "$mode_before" "$time" "$time_before" && set=$((set + 1)) ;;
        l) carry ;;
        m) carry && made=$((made + 1)) ;;
        *) carry && moved=$((moved + 1)) ;;
        esac
    done 3<"$data"
    together "$@"
}

mkdir -p "$vault/undone" || fail "$vault/undone cannot be made: nothing was done"
mv=mv batch=no
printf '' >"$vault/try" && mv -n -T "$vault/try" "$vault/undone/try" 2>/dev/null && mv='mv -n -T'
mv -n -t "$vault" "$vault/undone/try" 2>/dev/null && batch=yes
rm -f "$vault/try" "$vault/undone/try"
act
sync
date -u +%Y%m%dT%H%M%SZ >"$vault/rolled-back.new" && mv "$vault/rolled-back.new" "$vault/rolled-back" ||
    stop "rolled-back" "it cannot be written"
sync
rmdir "$vault/undone" 2>/dev/null
say "done: $moved put back, $made made by the run set aside, $set with their mode or time put back"
[ $kept -eq 0 ] || say "$kept modes or times were changed since the run and were left alone"
[ $coarse = no ] || say "times are exact to the second only: this touch knows no fractions"
[ $made -eq 0 ] || say "what the run made is in $vault/undone"
