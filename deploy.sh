#!/usr/bin/env bash
# Everything in the cloud: from a clone to a guarded system. Safe to repeat, and to run again after it was stopped
# at any point: each thing is looked up before it is made. `./deploy.sh --help` lists what it takes.
set -euo pipefail
cd "$(dirname "$0")"
umask 077

gcloud_at_least=528 # the version whose parser every command below was tried with
apis=(run cloudbuild artifactregistry secretmanager cloudscheduler compute iam logging monitoring)
functions=(execute scan_tick cleanup)
not_found='NOT_FOUND|not found|Cannot find|does not exist'
already_there='ALREADY_EXISTS|already exists|Already exists'

settings=deploy.env dry_run='' only='' live='' leave_unsettled='' roll_back='' project_given='' region_given=''
project='' region='' alert_email='' secrets='' account='' registered_mode='' trading_state='' mode=''
url_execute='' url_scan_tick='' url_cleanup=''
export PYTHONPATH=. CLOUDSDK_CORE_DISABLE_PROMPTS=1
python=.venv/bin/python

usage() {
    cat <<'TEXT'
./deploy.sh                 deploy, or bring up to date what is deployed
  --dry-run                 print each command and run none
  --only PART               execute, scan_tick or cleanup: that function alone
                            address: reserve the fixed address, to which the exchange's keys are bound
  --project ID, --region R  instead of those in the settings
  --settings FILE           instead of deploy.env
  --live                    send orders from now on; asks for the project's name
  --no-live                 back to dry run; refused while a live execution is unsettled
  --leave-unsettled         with --no-live: go back all the same, and let cleanup settle in dry run
  --roll-back               functions back to the revision before the one that serves
TEXT
}

# --- how commands are shown and run --------------------------------------------------------------------------------

say() { printf '%s\n' "$*"; }
step() { printf '\n%s\n' "$*"; }

stop() {
    printf '\n%s\n' "$1" >&2
    exit 1
}

show() {
    local line=$1 part
    shift
    for part; do
        if [[ $part =~ ^[A-Za-z0-9_./:=,@%+~-]+$ ]]; then line+=" $part"; else line+=" '${part//\'/\'\\\'\'}'"; fi
    done
    say "  $line"
}

what_it_said() { grep -vE '^$|^To |^Please run|^  \$' "$scratch/error" | tail -n 3 || true; }

# A look-up: 0 with what it printed in $answer, 1 when there is no such thing. Anything else stops the script.
look() {
    show 'look ' "$@"
    answer=
    if [ "$dry_run" ]; then return 1; fi
    if answer=$("$@" 2>"$scratch/error"); then return 0; fi
    if grep -qE 'PERMISSION_DENIED|permission' "$scratch/error" || ! grep -qE "$not_found" "$scratch/error"; then
        stop "This look-up failed, and nothing was changed by it. $(what_it_said)"
    fi
    answer=
    return 1
}

# A change. What it printed is in $answer.
run() {
    show 'run  ' "$@"
    answer=
    if [ "$dry_run" ]; then return 0; fi
    if answer=$("$@" 2>"$scratch/error"); then return 0; fi
    stop "This command failed; run the script again when the cause is gone. $(what_it_said)"
}

# Makes what a look-up did not find; that somebody else made it meanwhile is fine.
make_it() {
    show 'run  ' "$@"
    answer=
    if [ "$dry_run" ] || answer=$("$@" 2>"$scratch/error"); then return 0; fi
    grep -qE "$already_there" "$scratch/error" ||
        stop "This command failed; run the script again when the cause is gone. $(what_it_said)"
}

# A grant to an account that was made a moment ago: the cloud may not know it yet.
grant() {
    local attempt
    show 'run  ' "$@"
    if [ "$dry_run" ]; then return 0; fi
    for attempt in 1 2 3 4 5 6; do
        if "$@" >/dev/null 2>"$scratch/error"; then return 0; fi
        grep -q 'does not exist' "$scratch/error" || break
        if [ "$attempt" -lt 6 ]; then sleep 5; fi
    done
    stop "This grant failed; run the script again when the cause is gone. $(what_it_said)"
}

helper() { # a helper of ours, which says by itself what is wrong
    show 'run  ' python -m "local.deploy.$1" "${@:2}"
    if [ "$dry_run" ]; then return 0; fi
    "$python" -m "local.deploy.$1" "${@:2}" || stop 'Nothing after this step was done; run the script again when the cause is gone.'
}

account_of() { printf '%s@%s.iam.gserviceaccount.com' "$1" "$project"; }
service_of() { printf 'interlock-%s' "${1//_/-}"; }
secret_of() { printf 'interlock-%s' "$1" | tr '[:upper:]_' '[:lower:]-'; }
digest_of() { printf '%s\n' "$@" | "$python" -S -c 'import hashlib, sys; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest()[:32])'; }

# Lets exactly the named accounts have a role on one thing: adds who is missing, removes who is too many.
# exactly ROLE "ACCOUNTS" gcloud-group… -- flags…
exactly() {
    local role=$1 wanted=$2 group=() flags=() member have
    shift 2
    while [ "$1" != -- ]; do group+=("$1") && shift; done
    shift
    flags=("$@")
    local thing=${group[${#group[@]} - 1]}
    unset 'group[${#group[@]}-1]'
    look gcloud "${group[@]}" get-iam-policy "$thing" "${flags[@]}" '--flatten=bindings[].members' \
        "--filter=bindings.role=$role" '--format=value(bindings.members)' || true
    have=$answer
    for member in $wanted; do
        grep -qxF "serviceAccount:$member" <<<"$have" ||
            grant gcloud "${group[@]}" add-iam-policy-binding "$thing" "${flags[@]}" "--member=serviceAccount:$member" "--role=$role"
    done
    for member in $have; do
        grep -qwF -- "${member#serviceAccount:}" <<<"$wanted" ||
            run gcloud "${group[@]}" remove-iam-policy-binding "$thing" "${flags[@]}" "--member=$member" "--role=$role"
    done
}

# --- the steps, in order -------------------------------------------------------------------------------------------

read_settings() {
    local verb=shell lines
    if [ "$only" = address ]; then verb=address; fi
    if [ "$dry_run" ] && [ ! -e "$settings" ]; then
        say "There is no $settings: this is the plan for the values of deploy.env.example."
        verb=example
        lines=$("$python" -m local.deploy.settings example deploy.env.example "GOOGLE_PROJECT=$project_given" "GOOGLE_REGION=$region_given")
    else
        lines=$("$python" -m local.deploy.settings "$verb" "$settings" "GOOGLE_PROJECT=$project_given" "GOOGLE_REGION=$region_given")
    fi
    eval "$lines"
    if [ "$dry_run" ]; then
        say 'Each line that begins with look only asks, each that begins with run changes something; here none is run, so'
        say 'this is what happens in a project in which nothing exists yet.'
    fi
    in_project=("--project=$project")
    in_region=("--region=$region" "--project=$project")
}

preflight() {
    step 'Preflight: tools, login, project, Supabase. Nothing is changed.'
    local version facts
    if [ -z "$dry_run" ]; then
        command -v gcloud >/dev/null || stop 'gcloud is missing: install the Google Cloud CLI (https://cloud.google.com/sdk/docs/install) and log in (gcloud auth login).'
    fi
    look gcloud version '--format=value("Google Cloud SDK")' || true
    version=${answer%%.*}
    if [ -z "$dry_run" ] && ! [ "${version:-0}" -ge "$gcloud_at_least" ] 2>/dev/null; then
        stop "gcloud ${answer:-of an unknown version} is too old: update it to $gcloud_at_least or later (gcloud components update)."
    fi
    look gcloud version '--format=value(alpha,beta)' || true
    if [ -z "$dry_run" ] && [ "$(wc -w <<<"$answer")" -lt 2 ]; then
        stop 'gcloud lacks the alpha and beta commands, which alerts need: gcloud components install alpha beta.'
    fi
    look gcloud auth list --filter=status:ACTIVE '--format=value(account)' || true
    if [ -z "$dry_run" ] && [ -z "$answer" ]; then
        stop 'Nobody is logged in to gcloud: gcloud auth login.'
    fi
    account=$answer
    show 'look ' gcloud projects describe "$project" '--format=value(projectNumber)'
    if [ -z "$dry_run" ] && ! gcloud projects describe "$project" '--format=value(projectNumber)' >/dev/null 2>"$scratch/error"; then
        stop "The project $project cannot be seen by $account: check GOOGLE_PROJECT, or log in as somebody who may. $(what_it_said)"
    fi
    show 'look ' gcloud billing projects describe "$project" '--format=value(billingEnabled)'
    if [ -z "$dry_run" ] && [ "$(gcloud billing projects describe "$project" '--format=value(billingEnabled)' 2>/dev/null)" = False ]; then
        stop "The project $project has no billing account: link one (https://console.cloud.google.com/billing)."
    fi
    if [ "$only" = address ]; then return 0; fi
    # shellcheck disable=SC2206 # words or nothing
    local asked=($live $leave_unsettled)
    show 'look ' python -m local.deploy.project facts "$settings" "${asked[@]}"
    if [ -z "$dry_run" ]; then
        facts=$("$python" -m local.deploy.project facts "$settings" "${asked[@]}") || exit 1
        eval "$facts"
    fi
    mode=${registered_mode:-dry_run}
    if [ "$live" ]; then mode=$live; fi
}

say_what_will_happen() {
    step "Deploying to $project in $region${account:+ as $account}; mode $mode${registered_mode:+ (registered: $registered_mode)}${only:+; only $only}."
    if [ -n "$(git status --porcelain 2>/dev/null)" ]; then
        say 'Note: this folder holds changes that are not committed; they are deployed too.'
    fi
}

ask_before_live() {
    if [ "$mode" != live ] || [ "$registered_mode" = live ] || [ "$dry_run" ]; then return 0; fi
    local typed=''
    say 'Live means that approved proposals become orders with real money.'
    printf "Type the project's name to go on: "
    read -r typed <&4 || true
    [ "$typed" = "$project" ] || stop 'That is not the project. Nothing was changed.'
}

enable_apis() {
    step 'APIs'
    local missing=() api
    look gcloud services list --enabled "${in_project[@]}" '--format=value(config.name)' || true
    for api in "${apis[@]}"; do
        grep -qxF "$api.googleapis.com" <<<"$answer" || missing+=("$api.googleapis.com")
    done
    if [ ${#missing[@]} -gt 0 ]; then run gcloud services enable "${missing[@]}" "${in_project[@]}"; fi
}

make_accounts() {
    step 'Service accounts: one a function, one that calls the two private ones, one that builds'
    local name builder
    for name in interlock-execute interlock-scan-tick interlock-cleanup interlock-scheduler interlock-build; do
        look gcloud iam service-accounts describe "$(account_of "$name")" "${in_project[@]}" '--format=value(email)' ||
            make_it gcloud iam service-accounts create "$name" "${in_project[@]}" "--display-name=$name"
    done
    builder=$(account_of interlock-build)
    look gcloud projects get-iam-policy "$project" '--flatten=bindings[].members' \
        "--filter=bindings.role=roles/run.builder AND bindings.members=serviceAccount:$builder" '--format=value(bindings.members)' || true
    if [ -z "$answer" ]; then
        grant gcloud projects add-iam-policy-binding "$project" "--member=serviceAccount:$builder" --role=roles/run.builder --condition=None
    fi
}

store_secrets() {
    step 'Secrets: a version is added only when the value has changed; each account may read its own alone'
    local name secret number function readers own path state
    for name in $secrets; do
        secret=$(secret_of "$name")
        look gcloud secrets describe "$secret" "${in_project[@]}" '--format=value(name)' ||
            make_it gcloud secrets create "$secret" "${in_project[@]}" --replication-policy=automatic
        number=0
        look gcloud secrets versions list "$secret" "${in_project[@]}" '--format=value[separator=" "](name,state)' || true
        while read -r path state; do
            if [[ $state == [Ee]* ]] && [ "${path##*/}" -gt "$number" ]; then number=${path##*/}; fi
        done <<<"$answer"
        if [ "$number" = 0 ] || ! is_stored "$name" "$secret" "$number"; then number=; fi
        if [ -z "$number" ]; then
            run gcloud secrets versions add "$secret" "${in_project[@]}" --data-file=- '--format=value(name)' < <(give "$name")
            number=${answer##*/}
            if [ -z "$dry_run" ]; then
                is_stored "$name" "$secret" "$number" || stop "The secret $secret was not stored as it is in $settings: run the script again."
            fi
        fi
        printf -v "version_$name" '%s' "${number:-VERSION}"
        readers=
        for function in "${functions[@]}"; do
            own=secrets_$function
            if [[ " ${!own} " == *" $name "* ]]; then readers+="$(account_of "$(service_of "$function")") "; fi
        done
        exactly roles/secretmanager.secretAccessor "$readers" secrets "$secret" -- "${in_project[@]}"
    done
}

# A secret goes from the settings file into a pipe, and from a pipe into a comparison; it is never a word here.
give() { if [ -z "$dry_run" ]; then "$python" -S -m local.deploy.secret give "$settings" "$1"; fi; }
is_stored() {
    show 'look ' gcloud secrets versions access "$3" "--secret=$2" "${in_project[@]}"
    gcloud secrets versions access "$3" "--secret=$2" "${in_project[@]}" 2>"$scratch/error" |
        "$python" -S -m local.deploy.secret is "$settings" "$1"
}

reserve_address() {
    step 'Fixed address: all that the functions send leaves by it (Direct VPC egress, Cloud NAT)'
    look gcloud compute addresses describe interlock "${in_region[@]}" '--format=value(address)' || {
        make_it gcloud compute addresses create interlock "${in_region[@]}"
        look gcloud compute addresses describe interlock "${in_region[@]}" '--format=value(address)' || true
    }
    address=${answer:-ADDRESS}
    say "  the exchange's keys are to be bound to $address"
}

make_network() {
    look gcloud compute networks describe interlock "${in_project[@]}" '--format=value(name)' ||
        make_it gcloud compute networks create interlock "${in_project[@]}" --subnet-mode=custom
    # Direct VPC egress wants a /26 at least, and takes up to twice as many addresses as there are instances.
    look gcloud compute networks subnets describe interlock "${in_region[@]}" '--format=value(name)' ||
        make_it gcloud compute networks subnets create interlock "${in_region[@]}" --network=interlock --range=10.8.0.0/26
    look gcloud compute routers describe interlock "${in_region[@]}" '--format=value(name)' ||
        make_it gcloud compute routers create interlock "${in_region[@]}" --network=interlock
    look gcloud compute routers nats describe interlock --router=interlock "${in_region[@]}" '--format=value(name)' ||
        make_it gcloud compute routers nats create interlock --router=interlock "${in_region[@]}" \
            --nat-custom-subnet-ip-ranges=interlock --nat-external-ip-pool=interlock
}

migrate() {
    step 'Migrations: supabase db push with the pinned command line, the password in its environment'
    helper migrate "$settings"
}

set_controls() {
    step 'Controls: mode, operator id, key fingerprint, ceilings. The trading state is left to a person.'
    helper project controls "$settings" "$mode"
}

# What each function runs with, and why:
#   --timeout       execute needs 75 s at worst, scan_tick 140 s; cleanup asks the exchange for 45 s at most. What
#                   runs longer is cut off by the platform and still safe, only late
#   --concurrency   execute: 8 approvals side by side wait for the network, and gunicorn serves them with as many
#                   threads; the scheduled ones take one call an instance, so that two runs never share memory
#   --max-instances a bound on cost, on the exchange's rate limit and on database connections; more callers wait
#   --min-instances 0: a cold start takes seconds (its first connection up to a minute), loses nothing, costs nothing
#   --memory        each was measured at about 50 MiB after its first requests; 512 MiB is the platform's default
deploy_function() {
    local function=$1 service secret_flags='' plain own name version staged config
    service=$(service_of "$function")
    own=secrets_$function plain=plain_$function
    for name in ${!own}; do
        version=version_$name
        secret_flags+="${secret_flags:+,}$name=$(secret_of "$name"):${!version}"
    done
    local shape
    case $function in
        execute) shape=(--timeout=120 --concurrency=8 --max-instances=3 --ingress=all --no-invoker-iam-check) ;;
        scan_tick) shape=(--timeout=180 --concurrency=1 --max-instances=3 --ingress=internal --invoker-iam-check) ;;
        cleanup) shape=(--timeout=120 --concurrency=1 --max-instances=2 --ingress=internal --invoker-iam-check) ;;
    esac
    local variables="^|^${!plain}|GOOGLE_CLOUD_PROJECT=$project"
    if [ "$function" != scan_tick ]; then variables+="|TRADING_MODE=$mode"; fi
    if [ "$function" = execute ]; then variables+='|THREADS=8'; fi
    local args=("$service" --source ".local/stage/$function" --function "$function" --base-image python313
        "${in_region[@]}" "--service-account=$(account_of "$service")"
        "--build-service-account=projects/$project/serviceAccounts/$(account_of interlock-build)"
        --no-allow-unauthenticated "${shape[@]}" --min-instances=0 --cpu=1 --memory=512Mi --execution-environment=gen2
        --network=interlock --subnet=interlock --vpc-egress=all-traffic
        "--set-secrets=$secret_flags" "--set-env-vars=$variables")
    staged=$(grep "^.local/stage/$function"$'\t' <<<"$folders")
    config=$(digest_of "${args[@]}" "${staged##*$'\t'}")
    look gcloud run services describe "$service" "${in_region[@]}" \
        '--format=value[separator=" "](metadata.labels.interlock-config,status.latestCreatedRevisionName,status.latestReadyRevisionName)' || true
    # shellcheck disable=SC2086 # three words
    set -- $answer
    if [ "${1:-}" != "$config" ] || [ "${2:-}" != "${3:-none}" ]; then
        run gcloud run deploy "${args[@]}" "--labels=interlock-config=$config"
    fi
    look gcloud run services describe "$service" "${in_region[@]}" '--format=value[separator=" "](status.traffic[0].latestRevision,status.traffic[0].percent)' || true
    if [ -z "$dry_run" ] && [ "$answer" != 'True 100' ]; then
        run gcloud run services update-traffic "$service" "${in_region[@]}" --to-latest
    fi
}

deploy_functions() {
    local function folders
    folders=$("$python" -S -m local.deploy.stage) || stop 'The functions could not be staged.'
    for function in "${functions[@]}"; do
        if [ -z "$only" ] || [ "$only" = "$function" ]; then
            step "Function $function"
            deploy_function "$function"
        fi
    done
}

find_addresses() {
    local function
    for function in "${functions[@]}"; do
        look gcloud run services describe "$(service_of "$function")" "${in_region[@]}" '--format=value(status.url)' || true
        if [ -z "$answer" ] && [ -z "$dry_run" ]; then
            if [ "$only" ]; then continue; fi
            stop "$(service_of "$function") has no address: run the script again."
        fi
        printf -v "url_$function" '%s' "${answer:-https://$(service_of "$function")-HASH.a.run.app}"
    done
}

let_the_scheduler_call() {
    step 'The scheduler alone may call the two private functions'
    local function
    for function in scan_tick cleanup; do
        exactly roles/run.invoker "$(account_of interlock-scheduler)" run services "$(service_of "$function")" -- "${in_region[@]}"
    done
    exactly roles/run.invoker '' run services interlock-execute -- "${in_region[@]}"
}

schedule() {
    step 'Scheduler: each private function once a minute'
    local function job url deadline config
    for function in scan_tick cleanup; do
        job=$(service_of "$function")
        url=url_$function
        # A run that takes longer than a minute overlaps the next, which is safe; nothing is tried again in between.
        deadline=$([ "$function" = scan_tick ] && printf 180s || printf 120s)
        local args=("$job" "--location=$region" "${in_project[@]}" '--schedule=* * * * *' --time-zone=Etc/UTC "--uri=${!url}"
            --http-method=POST "--oidc-service-account-email=$(account_of interlock-scheduler)"
            "--oidc-token-audience=${!url}" "--attempt-deadline=$deadline" --max-retry-attempts=0)
        config=$(digest_of "${args[@]}")
        if look gcloud scheduler jobs describe "$job" "--location=$region" "${in_project[@]}" '--format=value(description)'; then
            [ "$answer" = "Interlock $config" ] || run gcloud scheduler jobs update http "${args[@]}" "--description=Interlock $config"
        else
            make_it gcloud scheduler jobs create http "${args[@]}" "--description=Interlock $config"
        fi
    done
}

watch() {
    step 'Metrics and alerts, named after the log events'
    local channel metrics alerts kind name digest file known
    look gcloud beta monitoring channels list "${in_project[@]}" --type=email '--format=value[separator=" "](labels.email_address,name)' || true
    answer=$(grep -F -m 1 "$alert_email " <<<"$answer" || true)
    answer=${answer#* }
    if [ -z "$answer" ]; then
        run gcloud beta monitoring channels create "${in_project[@]}" --display-name=Interlock --type=email \
            "--channel-labels=email_address=$alert_email" '--format=value(name)'
    fi
    channel=$answer
    look gcloud logging metrics list "${in_project[@]}" '--filter=name~^interlock_' '--format=value[separator=" "](name,description)' || true
    metrics=$answer
    look gcloud alpha monitoring policies list "${in_project[@]}" \
        '--format=value[separator=" "](userLabels.interlock,userLabels.digest,name)' || true
    alerts=$answer
    while read -r kind name digest file; do
        if [ "$kind" = metric ]; then
            known=$(grep -E "^interlock_$name " <<<"$metrics" || true)
            if [ -z "$known" ]; then
                make_it gcloud logging metrics create "interlock_$name" "${in_project[@]}" "--config-from-file=$file"
            elif [[ $known != *"[$digest]" ]]; then
                run gcloud logging metrics update "interlock_$name" "${in_project[@]}" "--config-from-file=$file"
            fi
        else
            known=$(grep -E "^$name " <<<"$alerts" || true)
            if [ -z "$known" ]; then
                run gcloud alpha monitoring policies create "${in_project[@]}" "--policy-from-file=$file"
            elif [[ $known != "$name $digest "* ]]; then
                run gcloud alpha monitoring policies update "${known##* }" "--policy-from-file=$file"
            fi
        fi
    done < <("$python" -S -m local.deploy.monitoring "$scratch" ${channel:+"$channel"})
}

clean_up_once() {
    step 'One run of cleanup, which compares orders with approvals and so opens live trading'
    local since attempt
    since=$(date -u +%Y-%m-%dT%H:%M:%SZ)
    local read_log=(gcloud logging read "resource.labels.service_name=\"interlock-cleanup\" AND jsonPayload.event=\"cleanup_done\" AND timestamp>=\"$since\""
        "${in_project[@]}" --limit=1 '--format=value(jsonPayload.message)')
    run gcloud scheduler jobs run interlock-cleanup "--location=$region" "${in_project[@]}"
    show 'look ' "${read_log[@]}"
    if [ "$dry_run" ]; then return 0; fi
    for attempt in $(seq 1 24); do
        answer=$("${read_log[@]}" 2>"$scratch/error" || true)
        if [ -n "$answer" ]; then
            say "  cleanup says: $answer"
            return 0
        fi
        if [ "$attempt" -lt 24 ]; then sleep 10; fi
    done
    stop "No run of cleanup came to an end within four minutes: look at the log of interlock-cleanup. $(what_it_said)"
}

smoke() {
    step 'Smoke test: the functions answer, and refuse strangers; nothing is placed'
    helper smoke "$url_execute" ${url_scan_tick:+"$url_scan_tick"} ${url_cleanup:+"$url_cleanup"}
}

sum_up() {
    if [ "$dry_run" ]; then step 'Nothing was run. A run of all this would end so:'; else step 'Done.'; fi
    say "  execute           $url_execute"
    if [ "${address:-}" ]; then say "  fixed address     $address   (IP whitelist of both key pairs at Bitvavo)"; fi
    say "  mode              $mode"
    say "  trading state     ${trading_state:-HALTED}"
    if [ "${trading_state:-HALTED}" != ACTIVE ]; then
        say '  Next: bind both key pairs to the fixed address and try them (make check-keys); create the users and name the'
        say '  owners in trading_owners; then ./interlock resume --all. Nothing trades before that.'
    fi
    "$python" -S -m local.deploy.costs
}

go_back() {
    local function service serving name ready previous
    step "Rolling back in $project, $region: each function to the revision before the one that serves"
    for function in "${functions[@]}"; do
        if [ "$only" ] && [ "$only" != "$function" ]; then continue; fi
        service=$(service_of "$function")
        look gcloud run services describe "$service" "${in_region[@]}" '--format=value(status.traffic[0].revisionName)' || true
        serving=$answer
        look gcloud run revisions list "--service=$service" "${in_region[@]}" --sort-by=~metadata.creationTimestamp \
            '--format=value[separator=" "](metadata.name,status.conditions.filter(type:Ready).extract(status))' || true
        previous=
        while read -r name ready; do
            if [ "$previous" = next ] && [[ $ready == *True* ]]; then previous=$name && break; fi
            if [ "$name" = "$serving" ]; then previous=next; fi
        done <<<"$answer"
        if [ "$dry_run" ]; then previous=REVISION; fi
        if [ -z "$previous" ] || [ "$previous" = next ]; then
            say "  $service has no earlier revision that works: it stays as it is."
            continue
        fi
        run gcloud run services update-traffic "$service" "${in_region[@]}" "--to-revisions=$previous=100"
        say "  $service: ${serving:-the serving revision} -> $previous"
    done
    say 'Done. The database was not touched: its checks hold whatever revision serves. ./deploy.sh leads forward again.'
}

# --- what was asked for --------------------------------------------------------------------------------------------

while [ $# -gt 0 ]; do
    case $1 in
        --dry-run) dry_run=yes ;;
        --live) live=live ;;
        --no-live) live=dry_run ;;
        --leave-unsettled) leave_unsettled=--leave-unsettled ;;
        --roll-back) roll_back=yes ;;
        --only | --project | --region | --settings)
            [ $# -ge 2 ] || stop "$1 needs a value."
            case $1 in
                --only) only=$2 ;;
                --project) project_given=$2 ;;
                --region) region_given=$2 ;;
                --settings) settings=$2 ;;
            esac
            shift
            ;;
        --help | -h) usage && exit 0 ;;
        *) usage >&2 && stop "$1 is not known." ;;
    esac
    shift
done
case $only in
    '' | execute | scan_tick | cleanup | address) ;;
    *) stop "--only takes execute, scan_tick, cleanup or address, not $only." ;;
esac
if [ "$only" ] && [ "$live" ]; then
    stop 'The mode is one for all functions: leave --only out.'
fi

# What is typed is for the one question alone: no command reads it by accident.
exec 4<&0 </dev/null
bash local/setup.sh
mkdir -p .local
scratch=$(mktemp -d .local/deploy.XXXXXX)
trap 'rm -rf "$scratch"' EXIT
trap 'stop "Stopped. Run the script again: it goes on from what is there."' INT TERM

read_settings
preflight
if [ "$roll_back" ]; then
    go_back
    exit 0
fi
if [ "$only" = address ]; then
    enable_apis
    reserve_address
    exit 0
fi
say_what_will_happen
ask_before_live
if [ -z "$only" ]; then
    enable_apis
    make_accounts
    store_secrets
    reserve_address
    make_network
    migrate
    set_controls
    deploy_functions
    find_addresses
    let_the_scheduler_call
    schedule
    watch
    clean_up_once
else
    store_secrets
    deploy_functions
    find_addresses
fi
smoke
sum_up
