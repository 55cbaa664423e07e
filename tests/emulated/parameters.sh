#!/usr/bin/env bash
# Every parameter at once: a stack of its own with key, VPC, domain, mutual TLS, reserved and provisioned concurrency, protection, mail,
# traces and forwarded logs.
# The emulated cloud knows no budgets, so that one is left out. Called by tests/deployed.sh, with the environment of the AWS CLI.
#
# usage: parameters.sh PACKAGED_TEMPLATE ARCHITECTURE
set -euo pipefail
packaged=$1 architecture=$2
key=$(aws kms create-key --query KeyMetadata.Arn --output text)
vpc=$(aws ec2 create-vpc --cidr-block 10.0.0.0/16 --query Vpc.VpcId --output text)
subnet=$(aws ec2 create-subnet --vpc-id "$vpc" --cidr-block 10.0.1.0/24 --query Subnet.SubnetId --output text)
group=$(aws ec2 create-security-group --group-name functions --description functions --vpc-id "$vpc" --query GroupId --output text)
certificate=$(aws acm request-certificate --domain-name api.example.com --query CertificateArn --output text)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
sam deploy --template-file "$packaged" --stack-name everything --resolve-s3 --capabilities CAPABILITY_IAM --no-confirm-changeset \
  --no-progressbar --parameter-overrides "Architecture=$architecture" Environment=all Canary=true Protection=true "KmsKeyArn=$key" \
  ReservedConcurrency=5 ProvisionedConcurrency=1 "SubnetIds=$subnet" "SecurityGroupIds=$group" DomainName=api.example.com \
  "CertificateArn=$certificate" TruststoreUri=s3://truststore/roots.pem OperatorEmail=operator@example.com \
  OtlpEndpoint=http://127.0.0.1:4318 AuditRetentionDays=365 LogDestinationArn=arn:aws:logs:us-east-1:000000000000:destination:central CacheSample=5000 InternalIssuers=idp.corp.example \
  > "$work/log" 2>&1 || { tail -n 60 "$work/log"; exit 1; }
aws cloudformation describe-stack-resources --stack-name everything --output text \
  --query "StackResources[?contains(['Alarms', 'DataApiLogsForwarded', 'Domain', 'DomainMapping', 'KeyUse', 'NetworkUse', 'NoticesByMail'], LogicalResourceId)].[LogicalResourceId, ResourceStatus]" |
  sort | tee "$work/made"
[ "$(grep -c CREATE_COMPLETE "$work/made")" = 7 ] || { echo "not everything that was asked for is there"; exit 1; }
